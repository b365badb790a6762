"""Pure: why a TLS connection failed, in words, with the setting that helps.

OpenSSL names what went wrong on our side, or the alert that the other side sent (RFC 8446 section 6.2). Under
TLS 1.3 an alert about our certificate comes after our handshake has ended.
"""

import re
import ssl
from typing import Final

_WANTS_CERTIFICATE: Final = "it asks for a client certificate: set tls.cert_file and tls.key_file"
_REFUSES_CERTIFICATE: Final = (
    "it does not accept our client certificate, or it got none: look at tls.cert_file and tls.key_file"
)
_NO_TLS: Final = (
    "it does not speak TLS at this port: look at the URL's port, or write http:// if that is meant"
)
_OLD: Final = "it speaks no TLS version that is safe: it has to offer TLS 1.2 or 1.3"

_ALERTS: Final = {
    "certificate required": _WANTS_CERTIFICATE,
    "handshake failure": "it may ask for a client certificate (tls.cert_file and tls.key_file), or it"
    " shares no cipher with us: its own log says which",
    "bad certificate": _REFUSES_CERTIFICATE,
    "unsupported certificate": _REFUSES_CERTIFICATE,
    "certificate revoked": _REFUSES_CERTIFICATE,
    "certificate expired": _REFUSES_CERTIFICATE,
    "certificate unknown": _REFUSES_CERTIFICATE,
    "unknown ca": _REFUSES_CERTIFICATE,
    "access denied": _REFUSES_CERTIFICATE,
    "decrypt error": _REFUSES_CERTIFICATE,
    "no certificate": _WANTS_CERTIFICATE,
    "unrecognized name": "it has no certificate for this name: set tls.server_name to a name that it has",
    "protocol version": _OLD,
    "insufficient security": _OLD,
    "internal error": "its own log says why; it may have no certificate for this name (tls.server_name)",
}
"""By the alert's name in RFC 8446 section 6, in OpenSSL's spelling."""

_OURS: Final = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNKNOWN_PROTOCOL": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _OLD,
    "NO_PROTOCOLS_AVAILABLE": _OLD,
    "UNEXPECTED_EOF_WHILE_READING": "it closed the connection during the handshake",
}

_CA: Final = "name the CA that issued it in tls.ca_file"
_NAME: Final = "correct the URL, or set tls.server_name to a name in its certificate"
_UNTRUSTED: Final = {  # X509_V_ERR_... of OpenSSL's x509_vfy.h
    2: _CA,
    18: _CA,
    19: _CA,
    20: _CA,
    21: _CA,
    9: "the clock of this machine may be wrong",
    10: "it has to be renewed, or the clock of this machine is wrong",
    62: _NAME,
    64: _NAME,
}

# Old alerts are called SSLV3_ALERT_..., newer ones TLSV1_..., TLSV1_ALERT_... or TLSV13_ALERT_...
_ALERT: Final = re.compile(r"(?:SSLV3|TLSV1|TLSV13|SSL/TLS)_(?:ALERT_)?(.+)")


UNEXPLAINED: Final = "the TLS connection failed"
"""What `explain` says if OpenSSL names no reason."""


def explain(error: ssl.SSLError) -> str:
    """Why the connection failed, and what to do: a clause about `it`, the other side, without a full stop."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {untrusted(error)}"
    reason = getattr(error, "reason", None) or ""  # there is none where Python itself raised it
    alert = _ALERT.fullmatch(reason)
    if alert is not None:
        name = alert[1].replace("_", " ").lower()
        told = f"it sent the TLS alert `{name}`"
        return f"{told}; {_ALERTS[name]}" if name in _ALERTS else told
    if isinstance(error, ssl.SSLEOFError):
        return _OURS["UNEXPECTED_EOF_WHILE_READING"]
    said = reason.replace("_", " ").lower()
    return _OURS.get(reason) or (f"{UNEXPLAINED} ({said})" if said else UNEXPLAINED)


def untrusted(error: ssl.SSLCertVerificationError) -> str:
    """What is wrong with a certificate, and what to do; without a full stop."""
    advice = _UNTRUSTED.get(error.verify_code)
    said = (error.verify_message or "it cannot be verified").rstrip(".")
    return f"{said}; {advice}" if advice else said


def tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error that an error is, or was raised from; None: there is none.

    aiohttp has subclasses of `ssl.SSLError` that tell nothing themselves.
    """
    while error is not None:
        if isinstance(error, ssl.SSLError) and type(error).__module__ == ssl.__name__:
            return error
        error = error.__cause__
    return None
