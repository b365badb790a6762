"""Why TLS failed, in words."""

import ssl

import pytest

from proxy.outgoing.alerts import tls_error
from proxy.outgoing.causes import Peer
from proxy.outgoing.diagnosis import cause_of

PEER = Peer("zeebe", section="upstreams.zeebe")


def explain(error: BaseException) -> str:
    return cause_of(error, PEER).words


def error(reason: str | None) -> ssl.SSLError:
    made = ssl.SSLError(1, "[SSL] text with an address 192.0.2.1")
    made.reason = reason  # type: ignore[assignment]
    return made


@pytest.mark.parametrize(
    ("reason", "alert", "setting"),
    [
        (
            "TLSV13_ALERT_CERTIFICATE_REQUIRED",
            "certificate required",
            "Set upstreams.zeebe.tls.cert_file and upstreams.zeebe.tls.key_file",
        ),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "handshake failure", "upstreams.zeebe.tls.cert_file"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "bad certificate", "upstreams.zeebe.tls.cert_file"),
        ("TLSV1_ALERT_UNKNOWN_CA", "unknown ca", "upstreams.zeebe.tls.cert_file"),
        ("TLSV1_UNRECOGNIZED_NAME", "unrecognized name", "upstreams.zeebe.tls.server_name"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "protocol version", "TLS 1.2"),
        ("SSL/TLS_ALERT_CERTIFICATE_EXPIRED", "certificate expired", "upstreams.zeebe.tls.cert_file"),
        ("TLSV1_ALERT_NO_RENEGOTIATION", "no renegotiation", ""),
    ],
)
def test_an_alert_is_named_with_the_setting_that_helps(reason: str, alert: str, setting: str) -> None:
    said = explain(error(reason))
    assert said.startswith(f"it sent the TLS alert `{alert}`")
    assert setting in said


@pytest.mark.parametrize("reason", ["WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"])
def test_a_port_without_tls_is_named(reason: str) -> None:
    assert "does not speak TLS" in explain(error(reason))


def test_what_has_no_words_of_its_own_is_said_as_openssl_says_it_without_addresses() -> None:
    assert explain(error("BAD_RECORD_TYPE")).startswith("the TLS connection failed (bad record type). ")
    assert explain(error(None)) == explain(ssl.SSLError("x"))
    assert explain(error(None)).startswith("the TLS connection failed. ")
    assert explain(ssl.SSLEOFError(8, "x")).startswith("it closed the connection during the handshake")


@pytest.mark.parametrize(
    ("code", "message", "setting"),
    [
        (19, "self-signed certificate in certificate chain", "upstreams.zeebe.tls.ca_file"),
        (20, "unable to get local issuer certificate", "upstreams.zeebe.tls.ca_file"),
        (62, "Hostname mismatch, certificate is not valid for 'x'.", "upstreams.zeebe.tls.server_name"),
        (10, "certificate has expired", "clock"),
        (23, "certificate revoked", ""),
    ],
)
def test_a_certificate_that_is_not_trusted_is_explained(code: int, message: str, setting: str) -> None:
    made = ssl.SSLCertVerificationError(1, "x")
    made.verify_code, made.verify_message = code, message
    assert explain(made).startswith(f"its certificate is not trusted: {message.rstrip('.')}")
    assert setting in explain(made)


def test_a_tls_error_is_found_behind_others() -> None:
    inner = error("HTTP_REQUEST")
    outer = OSError("x")
    outer.__cause__ = inner
    assert tls_error(outer) is inner
    assert tls_error(OSError("x")) is None
    assert tls_error(None) is None
