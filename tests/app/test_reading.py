"""The first configuration is read by a child, so that the running proxy has no pydantic and no YAML."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.demo import simulated_camunda
from tests.app.command import proxy
from tests.app.test_run import configuration
from tests.config.test_load import pem

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is read where it is used")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yaml"


def script(text: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python lines in a process of their own, which has one thread, as a fork needs it."""
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
        text=True,
        timeout=50,
    )


async def test_a_running_proxy_has_none_of_the_libraries_that_read_the_configuration(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda, proxy(tmp_path, configuration(camunda), fresh=True) as sidecar:
        status, _, _ = await sidecar.get("zeebe", "/v2/topology")
        assert status == 200
        maps = Path(f"/proc/{sidecar.pid}/maps").read_text(encoding="utf-8")
        assert "uvloop" in maps
        assert "pydantic_core" not in maps
        assert "_yaml" not in maps


def test_the_child_hands_over_every_kind_of_setting_as_it_was_read(tmp_path: Path) -> None:
    example = EXAMPLE.read_text(encoding="utf-8")
    pem(tmp_path)
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    done = script(
        """
import os, sys
from pathlib import Path
from proxy.commands.reading import begin_reading
from proxy.config.load import load

here = os.getpid()
where = []

def read():
    where.append(os.getpid())
    environ = {name: "x" * 20 for name in os.environ["NAMES"].split()}
    folder = Path(os.environ["FOLDER"])
    return load(config=Path("example.yaml"), env_file=None, environ=environ, directory=folder)

result = begin_reading(read)()
assert not where, "it was read here"
assert result == read()
assert type(result.credentials) is type(read().credentials)
""",
        NAMES=" ".join(re.findall(r"\$\{(\w+)\}", example)),
        FOLDER=str(tmp_path),
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_what_is_wrong_is_told_as_if_it_had_been_read_here(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("upstreams: {zeebe: {url: ftp://x, lisn: 1}}\ncredentials: {}\n", encoding="utf-8")
    done = script(
        """
import os
from pathlib import Path
from proxy.commands.reading import begin_reading
from proxy.config.load import load
from proxy.errors import ConfigError

def told(read):
    try:
        read()
    except ConfigError as error:
        return error.problems, error.origin, str(error)

def read():
    return load(config=Path(os.environ["WRONG"]), env_file=None, environ={}, directory=Path.cwd())

assert told(begin_reading(read)) == told(read) is not None
""",
        WRONG=str(path),
    )
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize(
    "end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "raise RuntimeError", "return lambda: 0"]
)
def test_it_is_read_here_if_the_child_fails(end: str) -> None:
    done = script(
        f"""
import os
from proxy.commands.reading import begin_reading

here = os.getpid()

def read():
    if os.getpid() != here:
        {end}
    return "read here"

assert begin_reading(read)() == "read here"
"""
    )
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize(
    "limit",
    [
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "os.setuid(65533); resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))",
    ],
)
def test_it_is_read_where_no_child_can_be_waited_for_or_made(limit: str) -> None:
    if "setuid" in limit and os.getuid() != 0:
        pytest.skip("root may always make a process, so this needs to be root and then another user")
    done = script(
        f"""
import os, resource, signal
from proxy.commands.reading import begin_reading

{limit}
assert begin_reading(lambda: "read")() == "read"
"""
    )
    assert (done.stderr, done.returncode) == ("", 0)
