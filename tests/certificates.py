"""Certificates for servers and clients of the tests."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID


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


def of_client(
    folder: Path, authority: trustme.CA, *names: x509.GeneralName, not_after: datetime | None = None
) -> tuple[Path, Path]:
    """A client's certificate with these subject alternative names, and its key; both PEM."""
    signer = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    end = not_after or datetime(2040, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2019, 1, 1, tzinfo=UTC))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


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
