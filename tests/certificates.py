"""Certificates for servers and clients of the tests."""

import ssl
from datetime import datetime
from pathlib import Path

import trustme


def certificate(
    folder: Path, name: str, authority: trustme.CA | None = None, not_after: datetime | None = None
) -> tuple[Path, Path]:
    """A certificate for a host name or IP address with its authority behind it, and its key; both PEM.

    Args:
        folder: made if it is not there.
        authority: who issues it; None: one of its own.
    """
    authority = authority or trustme.CA()
    issued = authority.issue_cert(name, not_after=not_after)
    folder.mkdir(exist_ok=True)
    chain, key = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in (*issued.cert_chain_pems, authority.cert_pem)))
    key.write_bytes(issued.private_key_pem.bytes())
    return chain, key


def serving(certificate: tuple[Path, Path], clients: Path | None = None) -> ssl.SSLContext:
    """For a server.

    Args:
        clients: authorities of those who may come; None: everybody may.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context
