"""Makes the wheel a compiled one: the hot path as C, by mypyc, from the same source.

hatchling calls this if HATCH_BUILD_HOOKS_ENABLE=1 is set (pyproject.toml). Without it the wheel is pure
Python.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HOT = (
    "proxy/gateway/*.py",
    "proxy/credentials/credential.py",
    "proxy/credentials/keeper.py",
    "proxy/credentials/refresh.py",
    "proxy/credentials/schedule.py",
    "proxy/credentials/standing.py",
    "proxy/histogram.py",
)
COLD = {"__init__.py", "caller_tls.py", "dial.py", "listener.py", "problems.py", "tls_layer.py"}
"""Of these directories, what runs too rarely to be worth it, or has a class of aiohttp's as its base."""


class CompileHook(BuildHookInterface[Any]):
    """See the module."""

    def dependencies(self) -> list[str]:
        return ["mypy>=2.4", "setuptools>=80"]

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add the extension modules to the wheel. Needs a C compiler and Python's headers."""
        from mypyc.build import mypycify
        from setuptools import Distribution
        from setuptools.command.build_ext import build_ext

        os.chdir(self.root)
        sources = sorted(
            str(path) for pattern in HOT for path in Path().glob(pattern) if path.name not in COLD
        )
        self._folder = tempfile.TemporaryDirectory(prefix="compiled-")  # until the wheel is written
        work = Path(self._folder.name)
        # Neither the project's settings of mypy nor its dependencies: what cannot be imported is Any. With
        # such a base, a compiled class would be laid out wrongly, and crash.
        options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
        options += ["--disallow-subclassing-any"]
        modules = mypycify(
            [*options, *sources],
            opt_level="2",
            debug_level="0",
            target_dir=str(work / "c"),
            group_name="camunda_auth_proxy",
        )
        command = build_ext(Distribution({"name": "camunda-auth-proxy", "ext_modules": modules}))
        command.build_lib, command.build_temp = str(work / "lib"), str(work / "tmp")
        command.ensure_finalized()
        command.run()
        built = [path for path in (work / "lib").rglob("*") if path.is_file()]
        build_data["force_include"].update({str(path): str(path.relative_to(work / "lib")) for path in built})
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
