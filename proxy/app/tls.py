"""Makes TLS contexts: trusted CAs and our own certificates. Changed files count for new connections."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from proxy.app.validity import not_after
from proxy.config.model import ListenTls, Tls
from proxy.errors import StartError
from proxy.files import read_regular, signature
from proxy.net import ContextMaker

LARGEST = 1 << 20
"""Most bytes of a PEM file; one with the CAs of all browsers has a quarter of that."""

log = logging.getLogger("proxy")


class TlsContexts:
    """Makes TLS contexts. The system's CAs are read once, and only if a connection needs them."""

    def __init__(self) -> None:
        self._system: ssl.SSLContext | None = None
        self._serving: WeakValueDictionary[tuple[str, ListenTls], ServingContext] = WeakValueDictionary()

    def context(self, tls: Tls, setting: str) -> ContextMaker:
        """Return a function that makes the context for the next connection.

        Args:
            setting: section that holds `tls`, for messages: `upstreams.zeebe`.

        Raises:
            StartError: a file cannot be read or used.
        """
        if tls.ca_file is None and tls.cert_file is None:
            return self._systems_own
        return ReloadedContext(tls, setting)

    def serving(self, tls: ListenTls, setting: str) -> "ServingContext":
        """Return what makes the context for the next connection of a caller; the same for the same files.

        Args:
            setting: section that holds `listen_tls`.

        Raises:
            StartError: a file cannot be read or used.
        """
        found = self._serving.get((setting, tls))
        if found is None:
            found = self._serving[setting, tls] = ServingContext(tls, setting)
        return found

    def _systems_own(self) -> ssl.SSLContext:
        if self._system is None:
            self._system = ssl.create_default_context()
        return self._system


class _Reloaded:
    """A context from PEM files, made again when one of them has changed.

    If the changed files cannot be used, for example because one is half written or the key does not belong to
    the certificate yet, the previous context stays.

    Raises:
        StartError: the files cannot be used at the start.
    """

    def __init__(self, section: str, files: Sequence[Path | None]) -> None:
        self._section = section
        self._files = files
        self._seen = self._look()
        self._context = self._make()

    def __call__(self) -> ssl.SSLContext:
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = self._make()
                log.info("the files of %s have changed and are used", self._section)
            except StartError as error:
                message = "the files of %s have changed but cannot be used, so the earlier ones stay: %s"
                log.warning(message, self._section, error)
        return self._context

    def _make(self) -> ssl.SSLContext:
        raise NotImplementedError

    def _look(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_signature_of(path) for path in self._files)


class ReloadedContext(_Reloaded):
    """The context of connections to a server. Two of these are equal if they use the same files."""

    def __init__(self, tls: Tls, setting: str) -> None:
        self._tls = tls
        self._setting = setting
        super().__init__(f"{setting}.tls", (tls.ca_file, tls.cert_file, tls.key_file))

    def _make(self) -> ssl.SSLContext:
        return _context(self._tls, self._setting)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReloadedContext) and (other._tls, other._setting) == (
            self._tls,
            self._setting,
        )

    def __hash__(self) -> int:
        return hash((self._tls, self._setting))


class ServingContext(_Reloaded):
    """The context of callers' connections.

    Attributes:
        not_after: seconds since 1970 until which its certificate is valid; None: not known.
    """

    def __init__(self, tls: ListenTls, setting: str) -> None:
        self._tls = tls
        self.not_after: float | None = None
        super().__init__(f"{setting}.listen_tls", (tls.cert_file, tls.key_file, tls.client_ca_file))

    def ends(self) -> float | None:
        """Look whether the files have changed, and return `not_after`."""
        self()
        return self.not_after

    def _make(self) -> ssl.SSLContext:
        tls, section = self._tls, self._section
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        _load_certificate(context, tls.cert_file, tls.key_file, section)
        if tls.client_ca_file is not None:
            _check_pem(tls.client_ca_file, "CERTIFICATE", "certificate", f"{section}.client_ca_file")
            try:
                context.load_verify_locations(tls.client_ca_file)
            except (OSError, ValueError) as error:
                raise StartError(
                    f"{section}.client_ca_file: {tls.client_ca_file} holds no certificates in PEM form; name "
                    "another file."
                ) from error
            context.verify_mode = ssl.CERT_REQUIRED if tls.only_certified else ssl.CERT_OPTIONAL
        self.not_after = not_after(tls.cert_file)
        return context


def _signature_of(path: Path | None) -> tuple[int, ...] | None:
    """Return the signature of a file; None: there is no such file."""
    try:
        return signature(path.stat()) if path is not None else None
    except OSError:
        return None


def _context(tls: Tls, setting: str) -> ssl.SSLContext:
    try:
        if tls.ca_file is not None:
            _read(tls.ca_file)
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file is not None else None)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise StartError(
            f"{setting}.tls.ca_file: {tls.ca_file} holds no certificates in PEM form; name another file."
        ) from error
    if tls.cert_file is not None and tls.key_file is not None:
        _load_certificate(context, tls.cert_file, tls.key_file, f"{setting}.tls")
    return context


class _Encrypted(Exception):
    """The key file is encrypted, because OpenSSL asks for its pass phrase."""


def _no_pass_phrase() -> str:
    raise _Encrypted


def _load_certificate(context: ssl.SSLContext, cert_file: Path, key_file: Path, where: str) -> None:
    """Let the context present a certificate. Raise StartError if its files cannot be used."""
    _check_pem(cert_file, "CERTIFICATE", "certificate", f"{where}.cert_file")
    _check_pem(key_file, "PRIVATE KEY", "private key", f"{where}.key_file")
    try:
        # Without a callback OpenSSL would ask on the terminal.
        context.load_cert_chain(cert_file, key_file, password=_no_pass_phrase)
    except _Encrypted:
        raise StartError(
            f"{where}.key_file: {key_file} is encrypted; name a file with the key without a passphrase."
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise StartError(
                f"{where}.key_file: {key_file} is not the key of the first certificate in {cert_file};"
                " put the key's certificate first in that file."
            ) from error
        raise StartError(f"{where}: {cert_file} or {key_file} is damaged, or too weak to be used.") from error
    except (OSError, ValueError) as error:
        raise StartError(f"{where}: {cert_file} or {key_file} cannot be read.") from error


def _check_pem(path: Path, kind: str, what: str, setting: str) -> None:
    """Check a PEM file, because OpenSSL's errors do not name the file."""
    try:
        data = _read(path)
    except (OSError, ValueError) as error:
        raise StartError(f"{setting}: {path} cannot be read; name another file.") from error
    if f"{kind}-----".encode() not in data:
        raise StartError(f"{setting}: {path} holds no {what} in PEM form; name another file.")


def _read(path: Path) -> bytes:
    """Read the file before OpenSSL opens it, because OpenSSL would wait without end for a pipe's writer.

    Raises:
        OSError, ValueError: it is no regular file, too large, or cannot be read.
    """
    data, _ = read_regular(path, LARGEST)
    if len(data) > LARGEST:
        raise ValueError("too large")
    return data
