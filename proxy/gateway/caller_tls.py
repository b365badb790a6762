"""TLS on a caller's connection, between its TCP transport and its `CallerConnection`.

The event loop's own TLS tells a protocol of a connection only after the handshake, closes it without an alert
if that fails, and cannot half-close. Here the limits of connections and of time count from the first byte, a
client gets to know why it was refused, and a plain request gets an answer.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, cast

from proxy.errors import RequestRefused
from proxy.gateway.caller import CallerConnection
from proxy.gateway.caller_limits import HEAD_TIME, LINGER_TIME, MAX_REFUSED
from proxy.gateway.caller_transport import Port
from proxy.gateway.limit import SILENT
from proxy.gateway.small_reads import SmallReads, read_little
from proxy.net import authority

HANDSHAKE: Final = 22
"""First byte of each TLS connection: a record of the handshake (RFC 8446 section 5.1)."""

MANY_RECORDS: Final = 16
"""Records of one read that are not worth counting."""

_ONE_RECORD: Final = 16 * 1024
_KINDS: Final = frozenset(("DNS", "URI", "email"))

_SPEAKS_TLS: Final = "This port speaks TLS: use https:// (upstreams.NAME.listen_tls)."


class CallerTls(asyncio.Transport, asyncio.Protocol):
    """Protocol of a TCP transport, and transport of a caller's connection.

    Until the handshake has ended, it is itself one of the port's connections.

    Args:
        make: makes the caller's connection, after the handshake.

    Attributes:
        call: None, as no request can have begun.
        identities: names in the client's verified certificate: `DNS:a.example`, `URI:spiffe://...`.
    """

    call = None

    def __init__(self, port: Port, context: ssl.SSLContext, make: Callable[[], CallerConnection]) -> None:
        super().__init__()
        self._port = port
        self._make = make
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._connection: CallerConnection | None = None
        self._since = port.clock.now()
        self._begun = False  # a byte was received
        self._failed = False  # the handshake has failed; further bytes are dropped
        self._silent = False  # our end of the TLS connection was announced; further bytes are not decrypted
        self._reading = True  # what the connection wants
        self._resting = False  # reading waits for the next turn of the loop
        self._closing = False
        self.identities: tuple[str, ...] = ()

    # -- what the TCP transport says --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        limit = self._port.limit
        self._port.connections.add(self)
        read_little(self._raw, self, little=True)  # what follows the handshake may have to wait
        if not limit.admit(self) and limit.free < -MAX_REFUSED:
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        if self._connection is not None:
            self._connection.connection_lost(error)
        else:
            self._leave_port()

    def eof_received(self) -> bool:
        if self._connection is None or self._silent or self._failed:
            return False
        return self._connection.eof_received()

    def pause_writing(self) -> None:
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        if self._connection is not None:
            self._connection.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._connection is not None:
            if self._silent:
                self._connection.data_received(data)  # it drops them
            else:
                self._incoming.write(data)
                self._deliver(self._connection)
        elif not self._begun and data[0] != HANDSHAKE:
            self._refuse_plain(data)
        elif not self._failed:
            self._begun = True
            self._incoming.write(data)
            self._shake_hands()

    # -- the handshake --

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the alert that says why
            self._fail(error)
            return
        self._flush()
        self._leave_port()
        self.identities = names_in(self._tls.getpeercert())
        if not self._port.limit.memory.scarce:
            read_little(self._raw, self, little=False)
        self._connection = connection = self._make()
        connection.connection_made(self)
        if self._incoming.pending and not self.is_closing():
            self._deliver(connection)

    def _fail(self, error: ssl.SSLError) -> None:
        """Send our end, and drop what the client still sends, so that it can read the alert."""
        self._failed = True
        self._since = self._port.clock.now()
        self._port.service.unheard(self, _refusal(error))
        if not self._raw.is_closing() and self._raw.can_write_eof():
            self._raw.write_eof()

    def _refuse_plain(self, data: bytes) -> None:
        self._leave_port()
        connection = self._make()
        read_little(self._raw, connection, little=False)
        connection.connection_made(self._raw)
        connection.refuse(RequestRefused("bad_request", _SPEAKS_TLS), data)

    def _leave_port(self) -> None:
        self._port.connections.discard(self)
        self._port.limit.leave(self)

    # -- what the port asks of its connections; only before the end of the handshake --

    def look(self, now: float) -> None:
        """End the connection if the handshake takes too long."""
        if now - self._since >= (LINGER_TIME if self._failed else HEAD_TIME):
            self.abort()

    def gives_way(self) -> bool:
        if not self._failed and self._port.clock.now() - self._since < SILENT:
            return False
        self.abort()
        return True

    def close_if_idle(self) -> None:
        self.abort()

    def reset(self) -> None:
        self.abort()

    @property
    def address(self) -> str:
        """Address and port of the caller; empty: it has gone."""
        if self._raw.is_closing():  # uvloop raises
            return ""
        name = self._raw.get_extra_info("peername")
        return authority(name[0], name[1]) if isinstance(name, tuple) else ""

    # -- from records to the connection --

    def _deliver(self, connection: CallerConnection) -> None:
        pieces: list[bytes] = []
        ended = broken = False
        try:
            while piece := self._tls.read(_ONE_RECORD):
                pieces.append(piece)
            ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError:
            broken = True
        self._flush()  # answers to the client's handshake messages, such as a new key, or an alert
        if len(pieces) > MANY_RECORDS:
            self._spend(len(pieces))
        if pieces:
            connection.data_received(b"".join(pieces))
        if broken:
            self.abort()
        elif ended and not self.is_closing() and not connection.eof_received():
            self.close()

    def _spend(self, records: int) -> None:
        """Count records as very small chunks, so that no caller can keep the loop busy with empty ones."""
        share = self._port.share
        share.spend(records)
        if share.left <= 0 and not self._resting:
            self._resting = True
            self._raw.pause_reading()
            share.later(self._rested)

    def _rested(self) -> None:
        self._resting = False
        if self._reading and not self.is_closing():
            self._raw.resume_reading()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    def _announce_end(self) -> None:
        """Send close_notify (RFC 8446 section 6.1); the client's own is not waited for."""
        if self._silent:
            return
        self._silent = True
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()

    # -- the transport --

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._silent or not data or self.is_closing():
            return
        view = memoryview(data)
        try:
            while view:
                view = view[self._tls.write(view) :]
        except ssl.SSLError:
            self.abort()
            return
        self._flush()

    def close(self) -> None:
        if self._closing:
            return
        self._announce_end()
        self._closing = True
        self._raw.close()

    def abort(self) -> None:
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing or self._raw.is_closing()

    def can_write_eof(self) -> bool:
        return self._raw.can_write_eof()

    def write_eof(self) -> None:
        self._announce_end()
        self._raw.write_eof()

    def pause_reading(self) -> None:
        self._reading = False
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._reading = True
        if not self._resting:
            self._raw.resume_reading()

    def is_reading(self) -> bool:
        return self._reading

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._connection if self._connection is not None else self

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Take `SmallReads` for the TCP transport's reads: what is decrypted goes to the connection."""
        read_little(self._raw, self, little=isinstance(protocol, SmallReads))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "identities":
            return self.identities
        return self._tls if name == "ssl_object" else self._raw.get_extra_info(name, default)


def names_in(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the subject alternative names that can identify a caller, as OpenSSL writes them.

    Args:
        certificate: as `ssl.SSLObject.getpeercert` returns it; None: the client sent none.
    """
    found = (certificate or {}).get("subjectAltName", ())
    return tuple(
        f"{kind}:{name.lower() if kind == 'DNS' else name}" for kind, name in found if kind in _KINDS
    )


def _refusal(error: ssl.SSLError) -> RequestRefused:
    """Say why a handshake has failed."""
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return RequestRefused(
            "caller_unknown",
            "The client sent no certificate, but this port requires one of upstreams.NAME.listen_tls."
            "client_ca_file.",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return RequestRefused(
            "caller_unknown",
            f"The client's certificate was refused: {error.verify_message}. It must be one of upstreams.NAME."
            "listen_tls.client_ca_file.",
        )
    reason = (error.reason or "unknown reason").lower().replace("_", " ")
    return RequestRefused("bad_request", f"The TLS handshake with a client has failed: {reason}.")
