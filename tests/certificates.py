"""Certificates for servers of the tests."""

from pathlib import Path

import trustme


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a host name or IP address with its authority behind it, and its key; both PEM."""
    authority = trustme.CA()
    server = authority.issue_cert(name)
    chain, key = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in (*server.cert_chain_pems, authority.cert_pem)))
    key.write_bytes(server.private_key_pem.bytes())
    return chain, key
