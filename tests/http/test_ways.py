"""Every case again, the other ways: split, behind a good request, over TLS, a Unix socket; and generated."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests import certificates
from tests.http.cases import at_a_tls_listener, mutations, on_a_unix_socket, suite
from tests.http.runner import Layout, Report, Suite, Way, run

GIVEN = suite("http_cases.json")
OURS = suite("more_http_cases.json")
PLAIN = Layout()
WAYS: tuple[Way, ...] = ("whole", "split", "behind")
AT_TLS_LISTENERS = WAYS if os.environ.get("TLS_LISTENERS") == "all" else WAYS[:1]
"""With each change only whole: the others are run each week."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For 127.0.0.1: the chain, its authority in it, and the key."""
    return certificates.certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")


def passes(cases: Suite, way: Way, folder: Path, layout: Layout = PLAIN) -> None:
    report: Report = asyncio.run(run(cases, way, folder, layout))
    assert report.said
    assert not report.leaked(), "a log line holds the credential"
    assert not report.complaints, "\n".join(report.complaints.values())


@pytest.mark.parametrize("way", ["split", "behind"])
def test_the_result_is_the_same_split_and_behind_a_good_request(way: Way, tmp_path: Path) -> None:
    passes(GIVEN, way, tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_more_cases_of_the_same_kind_are_handled_right(way: Way, tmp_path: Path) -> None:
    passes(OURS, way, tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_the_result_is_the_same_over_tls(way: Way, tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    passes(GIVEN, way, tmp_path, Layout(certificate))


@pytest.mark.parametrize("way", AT_TLS_LISTENERS)
def test_the_result_is_the_same_at_a_tls_listener(
    way: Way, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    # One after the other, because cases that share an upstream share its settings too.
    for number, cases in enumerate((GIVEN, OURS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        passes(at_a_tls_listener(cases), way, folder, Layout(listener=certificate))


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
@pytest.mark.parametrize("way", WAYS)
def test_unix(way: Way, tmp_path: Path) -> None:  # the name is part of the path, which must be short
    passes(on_a_unix_socket(GIVEN), way, tmp_path, Layout(unix=True))


@pytest.mark.parametrize("way", WAYS)
def test_of_the_octets_around_transfer_encoding_only_white_space_passes(way: Way, tmp_path: Path) -> None:
    generated: Suite = [("requests", case) for case in mutations()]
    assert len(generated) == (32 + 129) * 4 * 2
    passes(generated, way, tmp_path)
