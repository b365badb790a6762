"""The proxy in a network of its own: what `namespace.py` says, each in a namespace that nobody else sees."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.outgoing.namespace import SCENARIOS

TOOLS = ("unshare", "ip", "iptables", "ip6tables", "mount")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's"),
    pytest.mark.skipif(
        sys.platform == "linux" and os.geteuid() != 0, reason="only root may make a namespace"
    ),
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}"),
]


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_in_a_network_of_its_own(scenario: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "unshare",
        "--net",
        "--mount",
        sys.executable,
        "-m",
        "tests.outgoing.namespace",
        scenario,
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert not process.returncode, said.decode()
