"""What one would use instead of us, each doing the same: an origin in clear and by TLS, with a token."""

import shutil
import string
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.process import Command

BENCH: Final = Path(__file__).parent.parent
GO_PROXY: Final = BENCH / ".build" / "go-proxy"
"""Built by bench/run."""
OURS: Final = "ours"
"""The compiled build, as the image has it."""
PURE: Final = "pure"
"""The same source, not compiled: `pip install .`"""
FLOOR: Final = "nginx"
BEFORE: Final = "before"
"""Another checkout of ours, to compare with (`--against`)."""


@dataclass(frozen=True)
class Setting:
    """Where a proxy stands.

    Attributes:
        folder: its own, for its configuration and output.
        plain, tls: ports to listen on, whose requests go to the origin in clear and by TLS.
        admin: one more port, for who wants it.
        origin_plain, origin_tls: the origin's ports.
        certificate: PEM file of the origin's certificate, which is its own CA.
        token: path of the token endpoint at the origin.
        files: limit on open files.
        lone: all in one process, for valgrind.
        ours, before: folders of the compiled builds, of this checkout and of another one.
    """

    folder: Path
    plain: int
    tls: int
    admin: int
    origin_plain: int
    origin_tls: int
    certificate: Path
    files: int
    token: str = "/token"
    lone: bool = False
    ours: Path = BENCH.parent
    before: Path = BENCH.parent


def filled(template: str, folder: Path, **values: object) -> Path:
    """`conf/TEMPLATE` with its %{names} filled, as a file in `folder`."""
    text = _Percent((BENCH / "conf" / template).read_text()).substitute(values)
    path = folder / template
    path.write_text(text)
    return path


def available(name: str) -> bool:
    """Whether the peer can be started here."""
    needs = {FLOOR: "nginx", "haproxy": "haproxy", "envoy": envoy_program(), "go": str(GO_PROXY)}
    return name not in needs or shutil.which(needs[name]) is not None


def command(name: str, setting: Setting) -> Command:
    """How the peer is started."""
    setting.folder.mkdir(parents=True, exist_ok=True)
    return PEERS[name](setting)


class _Percent(string.Template):
    delimiter = "%"  # nginx and YAML have uses of their own for the usual one


def _conf(template: str, setting: Setting) -> Path:
    return filled(
        template,
        setting.folder,
        dir=setting.folder,
        plain=setting.plain,
        tls=setting.tls,
        admin=setting.admin,
        origin_plain=setting.origin_plain,
        origin_tls=setting.origin_tls,
        certificate=setting.certificate,
        token=setting.token,
        connections=(setting.files - 200) // 2,
        master="off" if setting.lone else "on",
    )


def _nginx(setting: Setting) -> Command:
    return Command(("nginx", "-e", "stderr", "-c", str(_conf("nginx.conf", setting))), setting.folder)


def _haproxy(setting: Setting) -> Command:
    return Command(("haproxy", "-db", "-f", str(_conf("haproxy.cfg", setting))), setting.folder)


def envoy_program() -> str:
    """Return the path of the program in the environment of bench/run."""
    packages = Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages")
    # The program itself: the package's own command is a Python process that waits for it.
    return str(packages / "envoy" / "_bin" / "envoy")


def _run_envoy(setting: Setting) -> Command:
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return Command((envoy_program(), *options, "-c", str(_conf("envoy.yaml", setting))), setting.folder)


def _token_and_pairs(setting: Setting, host: str) -> tuple[str, ...]:
    origin = f"http://127.0.0.1:{setting.origin_plain}"
    tls = f"https://localhost:{setting.origin_tls}"
    return (
        origin + setting.token,
        str(setting.certificate),
        f"{host}{setting.plain}",
        origin,
        f"{host}{setting.tls}",
        tls,
    )


def _run_go(setting: Setting) -> Command:
    return Command((str(GO_PROXY), *_token_and_pairs(setting, "127.0.0.1:")), setting.folder)


def _aiohttp(setting: Setting) -> Command:
    arguments = (sys.executable, "-m", "bench.peers.aiohttp_proxy", *_token_and_pairs(setting, ""))
    return Command(arguments, setting.folder, workdir=BENCH.parent)


def _ours(setting: Setting, checkout: Path) -> Command:
    # The checkout is first on the path, because it is the working directory.
    arguments = (sys.executable, "-m", "proxy", "run", "--config", str(_conf("ours.yaml", setting)))
    return Command(arguments, setting.folder, workdir=checkout, environment={"PYTHONHASHSEED": "0"})


PEERS: Final[dict[str, Callable[[Setting], Command]]] = {
    FLOOR: _nginx,
    "haproxy": _haproxy,
    "envoy": _run_envoy,
    "go": _run_go,
    "aiohttp": _aiohttp,
    OURS: lambda setting: _ours(setting, setting.ours),
    PURE: lambda setting: _ours(setting, BENCH.parent),
    BEFORE: lambda setting: _ours(setting, setting.before),
}
