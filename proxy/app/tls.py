"""TLS contexts: whom to trust, and as whom to come. Files that change are read again for new connections."""

import logging
import ssl
from pathlib import Path

from proxy.config.model import Tls
from proxy.errors import StartError
from proxy.files import read_regular, signature
from proxy.net import ContextMaker

LARGEST = 1 << 20
"""Bytes of a PEM file; the CAs of all browsers together have a quarter of that."""

log = logging.getLogger("proxy")


class TlsContexts:
    """TLS contexts; the system's CAs are read once, and only if somebody needs them."""

    def __init__(self) -> None:
        self._system: ssl.SSLContext | None = None

    def context(self, tls: Tls, setting: str) -> ContextMaker:
        """What makes the context for the next connection.

        Args:
            setting: where it was written, as messages name it: `upstreams.zeebe`.

        Raises:
            StartError: a file cannot be read or makes no sense.
        """
        if tls.ca_file is None and tls.cert_file is None:
            return self._systems_own
        return ReloadedContext(tls, setting)

    def _systems_own(self) -> ssl.SSLContext:
        if self._system is None:
            self._system = ssl.create_default_context()
        return self._system


class ReloadedContext:
    """A context out of PEM files, made anew when one of them has changed.

    While they make no sense, half written or the key not yet that of the certificate, the one before stays.
    Equal to another one out of the same files.

    Raises:
        StartError: they make no sense from the start.
    """

    def __init__(self, tls: Tls, setting: str) -> None:
        self._tls = tls
        self._setting = setting
        self._seen = self._look()
        self._context = _context(tls, setting)

    def __call__(self) -> ssl.SSLContext:
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = _context(self._tls, self._setting)
                log.info("the files of %s.tls have changed and are used", self._setting)
            except StartError as error:
                log.warning("the files of %s.tls have changed, those before stay: %s", self._setting, error)
        return self._context

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReloadedContext) and (other._tls, other._setting) == (
            self._tls,
            self._setting,
        )

    def __hash__(self) -> int:
        return hash((self._tls, self._setting))

    def _look(self) -> tuple[tuple[int, ...] | None, ...]:
        tls = self._tls
        return tuple(_signature_of(path) for path in (tls.ca_file, tls.cert_file, tls.key_file))


def _signature_of(path: Path | None) -> tuple[int, ...] | None:
    """None: there is no such file."""
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
        _load_client_certificate(context, tls.cert_file, tls.key_file, f"{setting}.tls")
    return context


class _Encrypted(Exception):
    """OpenSSL asks for a pass phrase."""


def _no_pass_phrase() -> str:
    raise _Encrypted


def _load_client_certificate(context: ssl.SSLContext, cert_file: Path, key_file: Path, where: str) -> None:
    """Let the context show a certificate. Raises StartError."""
    _check_pem(cert_file, "CERTIFICATE", "certificate", f"{where}.cert_file")
    _check_pem(key_file, "PRIVATE KEY", "private key", f"{where}.key_file")
    try:
        # Without a callback OpenSSL asks on the terminal.
        context.load_cert_chain(cert_file, key_file, password=_no_pass_phrase)
    except _Encrypted:
        raise StartError(
            f"{where}.key_file: {key_file} is encrypted; name a file with the key in clear."
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise StartError(
                f"{where}.key_file: {key_file} is not the key of the certificate in {cert_file};"
                " the certificate of the key has to come first there."
            ) from error
        raise StartError(f"{where}: {cert_file} or {key_file} is damaged, or too weak to be used.") from error
    except (OSError, ValueError) as error:
        raise StartError(f"{where}: {cert_file} or {key_file} cannot be read.") from error


def _check_pem(path: Path, kind: str, what: str, setting: str) -> None:
    """OpenSSL does not say which of the two files it means."""
    try:
        data = _read(path)
    except (OSError, ValueError) as error:
        raise StartError(f"{setting}: {path} cannot be read; name another file.") from error
    if f"{kind}-----".encode() not in data:
        raise StartError(f"{setting}: {path} holds no {what} in PEM form; name another file.")


def _read(path: Path) -> bytes:
    """The file, before OpenSSL opens it, which would wait for a pipe's writer for ever.

    Raises:
        OSError, ValueError: it is no regular file, too large, or cannot be read.
    """
    data, _ = read_regular(path, LARGEST)
    if len(data) > LARGEST:
        raise ValueError("too large")
    return data
