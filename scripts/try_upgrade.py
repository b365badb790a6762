"""Upgrades a proxy from one version to the next, as a user does: `try_upgrade.py BIN PIP_ARGUMENT...`

BIN is the `bin` folder of an environment with the earlier version. This runs in an environment with the new
version, whose simulated Camunda answers. Steps: check and run the earlier version, a request; BIN/pip
installs the new one beside the running process, which goes on answering and ends with exit code 0; then the
new version accepts the same configuration and answers.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from try_desktop import configuration, listening, output

from proxy.demo import simulated_camunda


def answer(port: str) -> int:
    with urllib.request.urlopen(f"http://localhost:{port}/v2/topology", timeout=30) as response:
        return int(response.status)


async def started(command: str, env: dict[str, str], folder: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        command, "run", env=env, cwd=folder, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    return process, await asyncio.wait_for(listening(process.stderr), 60)


async def stopped(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, process.returncode


async def main(bin_folder: Path, install: list[str]) -> None:
    command = str(bin_folder / "camunda-auth-proxy")
    with tempfile.TemporaryDirectory(prefix="try-upgrade-") as name:
        folder = Path(name)
        async with simulated_camunda() as camunda:
            env = {**os.environ, "XDG_CONFIG_HOME": str(configuration(camunda, folder))}
            before = await output(command, "--version", env=env, folder=folder)
            await output(command, "check", env=env, folder=folder)
            process, port = await started(command, env, folder)
            assert await asyncio.to_thread(answer, port) == 200
            await output(str(bin_folder / "pip"), "install", *install, env=env, folder=folder)
            assert await asyncio.to_thread(answer, port) == 200, "the running process no longer answers"
            await stopped(process)
            after = await output(command, "--version", env=env, folder=folder)
            await output(command, "check", env=env, folder=folder)
            process, port = await started(command, env, folder)
            assert await asyncio.to_thread(answer, port) == 200
            await stopped(process)
    print(f"{before.split()[1]} -> {after.split()[1]}")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
