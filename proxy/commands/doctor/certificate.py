"""Reads the certificate of a TLS connection, as far as people need to know it."""

import asyncio
import ssl
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from proxy.commands.doctor.finding import day
from proxy.outgoing.causes import cleaned

MOST = 5
"""Most names that are shown."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Attributes:
    subject, issuer: their common names, else their organisations.
    names: DNS names and IP addresses (RFC 5280 section 4.2.1.6).
    not_before, not_after: seconds since 1970; None: not known.
    alone: whether the server sent no other certificate with it; False also if that is not known.
    """

    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    not_before: float | None = None
    not_after: float | None = None
    alone: bool = False

    def said(self) -> str:
        """Return what is known in one line."""
        more = f" and {len(self.names) - MOST} more" if len(self.names) > MOST else ""
        name = f"{', '.join(self.names[:MOST])}{more}" if self.names else self.subject
        parts = [f"certificate for {name}" if name else "certificate"]
        if self.issuer:
            parts.append(f"issued by {self.issuer}")
        if self.not_after is not None:
            parts.append(f"valid until {day(self.not_after)}")
        return ", ".join(parts)

    def facts(self) -> dict[str, object]:
        """Return it for machines."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": list(self.names),
            "not_after": self.not_after,
        }


def verified(transport: asyncio.Transport) -> Certificate:
    """Return the certificate of a connection whose peer has been verified."""
    found: dict[str, Any] = transport.get_extra_info("peercert") or {}
    ends = found.get("notAfter")
    return Certificate(
        subject=_common_name(found.get("subject", ())),
        issuer=_common_name(found.get("issuer", ())),
        names=tuple(cleaned(str(name)) for _, name in found.get("subjectAltName", ())),
        not_after=float(ssl.cert_time_to_seconds(ends)) if isinstance(ends, str) else None,
    )


def presented(transport: asyncio.Transport) -> Certificate:
    """Return the certificate of a connection whose peer has not been verified.

    Python gives only its bytes then. They are read if the extra `[jwt]` is installed, as in the image.
    """
    made: Any = transport.get_extra_info("ssl_object")
    data = made.getpeercert(binary_form=True) if made is not None else None
    if not data or find_spec("cryptography") is None:
        return Certificate()
    chain = getattr(made, "get_unverified_chain", None)  # Python 3.13
    return _read(data, alone=chain is not None and len(chain()) == 1)


def _read(data: bytes, *, alone: bool) -> Certificate:
    from cryptography import x509

    try:
        read = x509.load_der_x509_certificate(data)
        subject, issuer = _name(read.subject), _name(read.issuer)
        own = read.subject == read.issuer
    except (ValueError, x509.InvalidVersion):
        return Certificate()
    names: tuple[str, ...] = ()
    try:
        known = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(cleaned(str(each.value)) for each in known)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        pass
    return Certificate(
        subject,
        issuer,
        names,
        read.not_valid_before_utc.timestamp(),
        read.not_valid_after_utc.timestamp(),
        alone and not own,
    )


def _name(name: Any) -> str:
    from cryptography.x509.oid import NameOID

    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for each in name.get_attributes_for_oid(kind):
            return cleaned(str(each.value))
    return ""


def _common_name(name: Any) -> str:
    found = {key: value for part in name for key, value in part}
    return cleaned(str(found.get("commonName") or found.get("organizationName") or ""))
