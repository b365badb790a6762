"""Makes TLS contexts: trusted CAs and our client certificate. Changed files count for new connections."""

import logging
import ssl
from pathlib import Path

from proxy.config.model import Tls
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

    def _systems_own(self) -> ssl.SSLContext:
        if self._system is None:
            self._system = ssl.create_default_context()
        return self._system


class ReloadedContext:
    """A context from PEM files, made again when one of them has changed.

    If the changed files cannot be used, for example because one is half written or the key does not belong to
    the certificate yet, the previous context stays. Two of these are equal if they use the same files.

    Raises:
        StartError: the files cannot be used at the start.
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
                message = "the files of %s.tls have changed but cannot be used, so the earlier ones stay: %s"
                log.warning(message, self._setting, error)
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
        _load_client_certificate(context, tls.cert_file, tls.key_file, f"{setting}.tls")
    return context


class _Encrypted(Exception):
    """The key file is encrypted, because OpenSSL asks for its pass phrase."""


def _no_pass_phrase() -> str:
    raise _Encrypted


def _load_client_certificate(context: ssl.SSLContext, cert_file: Path, key_file: Path, where: str) -> None:
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
