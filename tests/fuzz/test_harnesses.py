"""The fuzzers' harnesses hold on what they begin with; `fuzz/run` goes on from there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.harnesses import HARNESSES, HERE, corpus
from tests.examples import some

ROOT = Path(__file__).parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))


@pytest.mark.parametrize("name", HARNESSES)
def test_nothing_is_wrong_with_what_the_fuzzers_begin_with(name: str) -> None:
    seeds = corpus(name)
    assert seeds
    for octets in (b"", *seeds):
        HARNESSES[name](octets)


@pytest.mark.parametrize("name", [name for name in HARNESSES if name not in ("keys", "secret-files", "long")])
@settings(deadline=None, max_examples=some(50))
@given(octets=st.binary(max_size=80))
def test_any_bytes_are_an_input(name: str, octets: bytes) -> None:
    HARNESSES[name](octets)


def test_each_folder_of_seeds_is_of_a_harness() -> None:
    assert {path.name for path in (HERE / "corpus").iterdir()} - HARNESSES.keys() == set()


@pytest.mark.slow
@pytest.mark.timeout(len(HARNESSES) * (SECONDS + 60))
@pytest.mark.skipif(sys.platform != "linux", reason="atheris has wheels for Linux alone")
def test_no_fuzzer_finds_anything() -> None:
    """`FUZZ_SECONDS` makes each run shorter or longer.

    The seed is fixed, so that chance does not refuse a change. The weekly job takes other inputs.
    """
    command = ["fuzz/run", "--seconds", str(SECONDS), "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")
