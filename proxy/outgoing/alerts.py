"""Pure: why a TLS connection failed, by OpenSSL's reason or the alert that the other side sent.

Alerts: RFC 8446 section 6. Under TLS 1.3 an alert about our certificate comes after our handshake has ended.
`causes.py` has the words.
"""

import re
import ssl
from typing import Final

from proxy.outgoing.causes import CauseName

_ALERTS: Final[dict[str, CauseName]] = {
    "certificate required": "tls_client_certificate",
    "no certificate": "tls_client_certificate",
    "bad certificate": "tls_client_certificate",
    "unsupported certificate": "tls_client_certificate",
    "certificate revoked": "tls_client_certificate",
    "certificate expired": "tls_client_certificate",
    "certificate unknown": "tls_client_certificate",
    "unknown ca": "tls_client_certificate",
    "access denied": "tls_client_certificate",
    "decrypt error": "tls_client_certificate",
    "handshake failure": "tls_handshake",
    "unrecognized name": "tls_no_certificate",
    "internal error": "tls_no_certificate",
    "protocol version": "tls_version",
    "insufficient security": "tls_version",
}
"""By the alert's name in RFC 8446 section 6, in OpenSSL's spelling."""

_OURS: Final[dict[str, CauseName]] = {
    "WRONG_VERSION_NUMBER": "tls_to_plain",
    "HTTP_REQUEST": "tls_to_plain",
    "PACKET_LENGTH_TOO_LONG": "tls_to_plain",
    "RECORD_LAYER_FAILURE": "tls_to_plain",
    "UNKNOWN_PROTOCOL": "tls_to_plain",
    "UNSUPPORTED_PROTOCOL": "tls_version",
    "NO_PROTOCOLS_AVAILABLE": "tls_version",
    "UNEXPECTED_EOF_WHILE_READING": "tls_closed",
}

_UNTRUSTED: Final[dict[int, CauseName]] = {  # X509_V_ERR_... of OpenSSL's x509_vfy.h
    9: "tls_not_yet",
    10: "tls_expired",
    62: "tls_name",
    64: "tls_name",
}
"""All others are about the issuer: 2, 18 to 21."""

# Old alerts are called SSLV3_ALERT_..., newer ones TLSV1_..., TLSV1_ALERT_... or TLSV13_ALERT_...
_ALERT: Final = re.compile(r"(?:SSLV3|TLSV1|TLSV13|SSL/TLS)_(?:ALERT_)?(.+)")
_ISSUER: Final = frozenset((2, 18, 19, 20, 21))


def tls_reason(error: ssl.SSLError) -> tuple[CauseName, str]:
    """Return the cause, and what OpenSSL or the alert says: a clause without a full stop."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = (error.verify_message or "it cannot be verified").rstrip(".")
        if error.verify_code in _ISSUER:
            return "tls_untrusted", said
        return _UNTRUSTED.get(error.verify_code, "tls_certificate"), said
    reason = getattr(error, "reason", None) or ""  # there is none where Python itself raised it
    alert = _ALERT.fullmatch(reason)
    if alert is not None:
        name = alert[1].replace("_", " ").lower()
        return _ALERTS.get(name, "tls_alert"), f"it sent the TLS alert `{name}`"
    if isinstance(error, ssl.SSLEOFError):
        return "tls_closed", ""
    said = reason.replace("_", " ").lower()
    return _OURS.get(reason, "tls_failed"), f"the TLS connection failed{f' ({said})' if said else ''}"


def tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error that an error is, or was raised from; None: there is none.

    aiohttp has subclasses of `ssl.SSLError` that tell nothing themselves.
    """
    while error is not None:
        if isinstance(error, ssl.SSLError) and type(error).__module__ == ssl.__name__:
            return error
        error = error.__cause__
    return None
