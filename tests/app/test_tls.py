"""TLS contexts out of files: what is said of bad ones, and what becomes of files that change."""

import logging
import os
import ssl
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.app.tls import TlsContexts
from proxy.config.model import Tls
from proxy.errors import StartError
from tests.certificates import certificate, serving
from tests.examples import some


@pytest.fixture
def ours(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path / "ours", "me")


def shown(ours: ssl.SSLContext, server: tuple[Path, Path], *known: Path) -> bytes | None:
    """The certificate, in DER, that a server is shown in a handshake without a network; None: none.

    Args:
        known: authorities of those who may come.

    Raises:
        ssl.SSLError: one of the two does not trust the other.
    """
    theirs = serving(server)
    theirs.verify_mode = ssl.CERT_OPTIONAL
    for path in known:
        theirs.load_verify_locations(path)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        ours.wrap_bio(back, there, server_hostname="camunda.test"),
        theirs.wrap_bio(there, back, server_side=True),
    ]
    done = [False, False]
    while not all(done):
        for number, end in enumerate(ends):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                done[number] = True
    return ends[1].getpeercert(binary_form=True)


def der(chain: Path) -> bytes:
    """The first certificate of a file."""
    first, end, _ = chain.read_text().partition(ssl.PEM_FOOTER)
    return ssl.PEM_cert_to_DER_cert(first + end)


def test_the_systems_authorities_are_read_once_and_by_who_needs_them() -> None:
    trust = TlsContexts()
    one, two = trust.context(Tls(), "a"), trust.context(Tls(server_name="x"), "b")
    assert one() is two()
    assert one().verify_mode is ssl.CERT_REQUIRED


def test_every_file_that_makes_no_sense_is_told_by_its_setting(
    tmp_path: Path, ours: tuple[Path, Path]
) -> None:
    cert, key = ours
    other = certificate(tmp_path / "other", "me")[1]
    none, text, locked = tmp_path / "none", tmp_path / "text", tmp_path / "locked"
    text.write_text("not PEM")
    damaged = tmp_path / "damaged"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    locked.write_bytes(
        load_pem_private_key(key.read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"c4n4ry")
        )
    )
    for tls, says in (
        (Tls(ca_file=text), f"x.tls.ca_file: {text} holds no certificates in PEM form"),
        (Tls(ca_file=none), f"x.tls.ca_file: {none} holds no certificates in PEM form"),
        (Tls(cert_file=none, key_file=key), f"x.tls.cert_file: {none} cannot be read"),
        (Tls(cert_file=cert, key_file=none), f"x.tls.key_file: {none} cannot be read"),
        (Tls(cert_file=key, key_file=key), f"x.tls.cert_file: {key} holds no certificate in PEM form"),
        (Tls(cert_file=cert, key_file=cert), f"x.tls.key_file: {cert} holds no private key in PEM form"),
        (
            Tls(cert_file=cert, key_file=other),
            f"x.tls.key_file: {other} is not the key of the first certificate",
        ),
        (Tls(cert_file=cert, key_file=locked), f"x.tls.key_file: {locked} is encrypted"),
        (Tls(cert_file=damaged, key_file=key), f"x.tls: {damaged} or {key} is damaged"),
    ):
        with pytest.raises(StartError) as caught:
            TlsContexts().context(tls, "x")
        assert str(caught.value).startswith(says)
        assert str(caught.value).endswith(".")


def test_what_has_changed_is_used_and_what_is_half_written_is_not(
    tmp_path: Path, ours: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy")
    server = certificate(tmp_path / "server", "camunda.test")
    new = certificate(tmp_path / "new", "me")
    old = tmp_path / "old.pem"
    old.write_bytes(ours[0].read_bytes())
    theirs = server, old, new[0]
    old_der, new_der = der(ours[0]), der(new[0])
    context = TlsContexts().context(Tls(ca_file=server[0], cert_file=ours[0], key_file=ours[1]), "x")
    assert shown(context(), *theirs) == old_der
    assert context() is context()
    ours[0].write_bytes(new[0].read_bytes())  # its key is still the old one
    assert shown(context(), *theirs) == old_der
    assert "so the earlier ones stay: x.tls.key_file" in caplog.records[-1].getMessage()
    ours[1].write_bytes(new[1].read_bytes())
    assert shown(context(), *theirs) == new_der
    assert context() is context()
    ours[1].unlink()
    assert shown(context(), *theirs) == new_der
    assert len(caplog.records) == 3


def test_a_renewed_authority_is_trusted_and_the_one_before_is_not(tmp_path: Path) -> None:
    old, new = (certificate(tmp_path / name, "camunda.test") for name in ("old", "new"))
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(old[0].read_bytes())
    context = TlsContexts().context(Tls(ca_file=trusted), "x")
    assert shown(context(), old) is None
    trusted.write_bytes(new[0].read_bytes())
    assert shown(context(), new) is None
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(context(), old)
    trusted.write_text("half of a certi")
    assert shown(context(), new) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_or_a_device_is_not_opened_and_holds_nothing_up(
    tmp_path: Path, ours: tuple[Path, Path]
) -> None:
    """OpenSSL would wait for a pipe's writer, and the event loop with it."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        for tls in (
            Tls(ca_file=path),
            Tls(cert_file=path, key_file=ours[1]),
            Tls(cert_file=ours[0], key_file=path),
        ):
            with pytest.raises(StartError, match="name another file"):
                TlsContexts().context(tls, "x")
    changing = tmp_path / "ca.pem"
    changing.write_bytes(ours[0].read_bytes())
    context = TlsContexts().context(Tls(ca_file=changing), "x")
    before = context()
    changing.unlink()
    os.mkfifo(changing)
    assert context() is before


SIGNED = trustme.CA().issue_cert("me")
CHAIN, KEY = SIGNED.cert_chain_pems[0].bytes(), SIGNED.private_key_pem.bytes()


def changed(original: bytes) -> st.SearchStrategy[bytes]:
    """A piece of it is another, or missing."""
    place = st.integers(0, len(original))
    return st.builds(
        lambda at, end, piece: original[: min(at, end)] + piece + original[max(at, end) :],
        place,
        place | place.map(lambda _: 0),
        st.binary(max_size=8) | st.sampled_from([b"\n-----END CERTIFICATE-----", b"\0", "\u00e4".encode()]),
    )


@settings(max_examples=some(50))
@given(changed(CHAIN), changed(KEY), changed(CHAIN))
def test_any_files_make_a_context_or_an_error_of_ours(cert: bytes, key: bytes, ca: bytes) -> None:
    with TemporaryDirectory() as name:
        files = [Path(name, part) for part in ("cert", "key", "ca")]
        for file, content in zip(files, (cert, key, ca), strict=True):
            file.write_bytes(content)
        for tls in (Tls(cert_file=files[0], key_file=files[1]), Tls(ca_file=files[2])):
            with suppress(StartError):
                assert TlsContexts().context(tls, "x")().verify_mode is ssl.CERT_REQUIRED
