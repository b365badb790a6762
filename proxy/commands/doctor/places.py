"""Tries to reach a server as the proxy does: its name, TCP, the HTTP proxy on the way, TLS.

No credential and no request is sent.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

from proxy.clock import Clock, pause
from proxy.commands.doctor.certificate import Certificate, presented, verified
from proxy.commands.doctor.finding import Step, Why, day, duration, failed
from proxy.errors import UpstreamError
from proxy.gateway.dial import Endpoint, dial
from proxy.gateway.lost import why_lost
from proxy.net import ContextMaker, HttpProxy, authority
from proxy.outgoing.addresses import AddressInfo
from proxy.outgoing.alerts import tls_error
from proxy.outgoing.causes import Peer
from proxy.outgoing.connect import Connector
from proxy.outgoing.diagnosis import cause_of

ALERT: Final = 0.2
"""Seconds to wait for an alert: in TLS 1.3 a server refuses our certificate, or the lack of one, when our
handshake has ended (RFC 8446 section 4.4.2.4)."""

FEW_DAYS: Final = 21 * 86400.0
"""A certificate that expires within this many seconds gets a notice."""

_SHOWN: Final = 4
_ENVIRONMENT: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True, slots=True)
class Place:
    """A server to be reached.

    Attributes:
        peer: how messages name it.
        tls: makes the TLS context; None: plain http.
        timeout: seconds for a connection.
        tunnels: whether the proxy reaches it by CONNECT if there is an HTTP proxy; always with https.
    """

    peer: Peer
    host: str
    port: int
    tls: ContextMaker | None
    server_name: str | None
    http_proxy: HttpProxy | None
    timeout: float
    tunnels: bool = True

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.host, self.port, self.tls, self.server_name, self.http_proxy, self.peer)

    @property
    def next_hop(self) -> tuple[str, int]:
        """Host and port that TCP connects to."""
        hop = self.http_proxy
        return (hop.host, hop.port) if hop is not None else (self.host, self.port)

    @property
    def hop_peer(self) -> Peer:
        """The server at the other end of the TCP connection, as messages name it."""
        return self.peer if self.http_proxy is None else self.endpoint.gateway


@dataclass(slots=True)
class Surroundings:
    """What every step needs.

    Attributes:
        wall: returns seconds since 1970.
        environ: only to see whether it names an HTTP proxy.
        patience: seconds until an API's answer has come.
    """

    clock: Clock
    connector: Connector
    wall: Callable[[], float]
    environ: Mapping[str, str] = field(default_factory=dict)
    patience: float = 30.0


async def reach(place: Place, around: Surroundings) -> tuple[Step, ...]:
    """Return the steps towards a place, up to the first that fails."""
    addresses, dns = await _dns(place, around)
    steps = [dns]
    if not failed(steps):
        steps.append(await _tcp(place, addresses, around))
    tunnels = place.http_proxy is not None and (place.tls is not None or place.tunnels)
    if not failed(steps) and (place.tls is not None or tunnels):
        steps += await _handshake(place, around)
    return tuple(steps)


async def _dns(place: Place, around: Surroundings) -> tuple[list[AddressInfo], Step]:
    host, port = place.next_hop
    begun = around.clock.now()
    try:
        async with asyncio.timeout(place.timeout):
            found = await around.connector.addresses(host, port)
    except TimeoutError:
        why = Why(
            "name_timeout",
            f"{place.hop_peer}: its name `{host}` was not resolved in {place.timeout:.0f} s, so no DNS"
            " server has answered. Check the network, VPN and DNS of this machine (/etc/resolv.conf); in a"
            " container, that of the container.",
        )
        return [], Step("dns", "wrong", host, around.clock.now() - begun, why)
    except (OSError, UnicodeError) as error:
        return [], Step(
            "dns", "wrong", host, around.clock.now() - begun, _why(error, place.hop_peer, host, around)
        )
    seconds = around.clock.now() - begun
    shown = list(dict.fromkeys(str(each[4][0]) for each in found))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    said = f"{host} is {', '.join(shown[:_SHOWN])}{more}" if shown != [host] else f"{host} needs no look-up"
    return found, Step("dns", "ok", said, seconds, facts={"host": host, "addresses": shown})


async def _tcp(place: Place, addresses: list[AddressInfo], around: Surroundings) -> Step:
    begun = around.clock.now()
    host, port = place.next_hop
    try:
        async with asyncio.timeout(place.timeout):
            site, address = await around.connector.connect(addresses)
    except (OSError, UnicodeError) as error:  # a TimeoutError is an OSError
        why = _why(error, place.hop_peer, host, around)
        return Step("tcp", "wrong", authority(host, port), around.clock.now() - begun, why)
    site.close()
    seconds, at = around.clock.now() - begun, authority(str(address[4][0]), port)
    return Step("tcp", "ok", f"connected to {at}", seconds, facts={"address": at})


async def _handshake(place: Place, around: Surroundings) -> list[Step]:
    """Open the tunnel, if there is one, and make TLS."""
    begun, name = around.clock.now(), "tls" if place.tls is not None else "http_proxy"
    try:
        async with opened(place, around.connector) as made:
            seconds = around.clock.now() - begun
            if place.tls is None:
                return [Step("http_proxy", "ok", f"{place.http_proxy} lets us through", seconds)]
            found, version = verified(made.transport), _version(made.transport)
            if await pause(around.clock, ALERT, made.closed) and made.error is not None:
                raise why_lost(made.error, place.peer, received=0, used=1)
    except UpstreamError as error:
        seconds = around.clock.now() - begun
        if error.cause == "connect_timeout" and place.http_proxy is None:
            return [Step("tls", "wrong", "", seconds, _silent(place))]
        if (tls := tls_error(error)) is not None:
            seen = await _presented(place, around)
            return [Step("tls", "wrong", seen.said(), seconds, untrusted(tls, place, seen, around))]
        return [_broken(error, place, seconds)]
    via = [Step("http_proxy", "ok", f"{place.http_proxy} lets us through")] if place.http_proxy else []
    return [*via, _good(found, version, name, seconds, around, place)]


def _good(
    found: Certificate, version: str, name: str, seconds: float, around: Surroundings, place: Place
) -> Step:
    said = f"{version}, {found.said()}"
    left = found.not_after - around.wall() if found.not_after is not None else None
    if left is not None:
        said += f", {duration(left)} left"
    facts = {**found.facts(), "version": version}
    if left is not None and left < FEW_DAYS:
        text = f"The certificate of {place.peer} expires in {duration(left)}. Have it renewed at that server."
        return Step(name, "notice", said, seconds, Why("certificate_expires_soon", text), facts)
    return Step(name, "ok", said, seconds, facts=facts)


def untrusted(error: ssl.SSLError, place: Place, seen: Certificate, around: Surroundings) -> Why:
    """Say why TLS failed, with what is known of the certificate that the server presented."""
    name, text = cause_of(error, place.peer)
    text = f"{place.peer}: {text}."
    if seen.subject or seen.names:
        text += f" The server presented a {seen.said()}."
    if name == "tls_untrusted" and seen.alone:
        text += " It sent no intermediate certificate; if its CA has one, that server has to send it."
    if name == "tls_untrusted" and place.http_proxy is not None:
        text += (
            " An HTTP proxy that inspects TLS presents its own certificates: tls.ca_file must name its CA."
        )
    if name in ("tls_expired", "tls_not_yet"):
        text += f" This machine's clock is at {day(around.wall())}."
    return Why(name, text)


def _broken(error: UpstreamError, place: Place, seconds: float) -> Step:
    """Say what is wrong with a tunnel, or with a handshake that ended without a reason."""
    tunnel = place.http_proxy is not None and str(place.endpoint.gateway) in str(error)
    why = Why(error.cause or error.code, f"{place.peer}: {error}")
    return Step("http_proxy" if tunnel or place.tls is None else "tls", "wrong", "", seconds, why)


def _silent(place: Place) -> Why:
    return Why(
        "tls_timeout",
        f"{place.peer}: it takes connections, but does not answer the TLS handshake in {place.timeout:.0f}"
        f" s. Check that {place.peer.setting} has a port that speaks TLS; a firewall or load balancer may"
        " also drop the handshake.",
    )


async def _presented(place: Place, around: Surroundings) -> Certificate:
    """Return the certificate that a server presents, without verifying it: only to show it."""
    with suppress(UpstreamError, OSError):
        unverified = Place(
            place.peer,
            place.host,
            place.port,
            unverifying,
            place.server_name,
            place.http_proxy,
            place.timeout,
        )
        async with opened(unverified, around.connector) as made:
            return presented(made.transport)
    return Certificate()


async def speaks_tls(place: Place, around: Surroundings) -> bool:
    """Tell whether a port that is configured as plain http makes a TLS handshake."""
    secure = Place(
        place.peer, place.host, place.port, unverifying, None, place.http_proxy, min(place.timeout, 3.0)
    )
    with suppress(UpstreamError, OSError):
        async with opened(secure, around.connector):
            return True
    return False


def unverifying() -> ssl.SSLContext:
    """Make a context that verifies nothing, for looking at a certificate: no request is sent over it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def opened(place: Place, connector: Connector) -> AsyncIterator["_Opened"]:
    """Dial as the gateway does; the connection ends with the block.

    Raises:
        UpstreamError: as `dial` does.
    """
    made = await dial(place.endpoint, _Opened, place.timeout, connector)
    try:
        yield made
    finally:
        made.transport.abort()
        await made.closed


class _Opened(asyncio.Protocol):
    """A connection on which nothing is said.

    Attributes:
        closed: done when the connection is closed.
        error: why it was closed; None: for no reason that the transport tells.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        if not self.closed.done():
            self.closed.set_result(None)


def _version(transport: asyncio.Transport) -> str:
    made: Any = transport.get_extra_info("ssl_object")
    return str(made.version()) if made is not None else "TLS"


def _why(error: BaseException, peer: Peer, host: str, around: Surroundings) -> Why:
    """Say why there is no connection, with a hint where the surroundings have one."""
    found = cause_of(error, peer, timeout="connect_timeout")
    text = f"{peer}: {found.words}."
    if found.name in ("connect_timeout", "no_route", "unreachable", "name_unknown"):
        named = next((name for name in _ENVIRONMENT if around.environ.get(name)), None)
        if named is not None and not peer.setting.endswith("http_proxy"):
            setting = f"{peer.section}.http_proxy" if peer.section else "http_proxy"
            text += (
                f" The variable {named} names an HTTP proxy that is not used for this: {setting}: env uses"
                " it."
            )
    if found.name == "name_unknown" and host.endswith("camunda.io"):
        text += (
            " On Camunda SaaS the host begins with the region: compare it with Console (Cluster, Overview)."
        )
    return Why(found.name, text)
