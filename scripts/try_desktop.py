"""What is claimed of Windows and macOS, step by step.

`python scripts/try_desktop.py`, in an environment with the proxy; on Linux too. Ends with 0 if everything is
as it should be. The workflow `desktop` runs it.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from proxy.demo import SimulatedCamunda, simulated_camunda

WINDOWS = sys.platform == "win32"
COMMAND = str(Path(sys.executable).with_name("camunda-auth-proxy.exe" if WINDOWS else "camunda-auth-proxy"))
CURL = shutil.which("curl") or "curl"


def configuration(camunda: SimulatedCamunda, folder: Path) -> Path:
    """Write the file where the proxy finds it, and return the home folder for it."""
    home = folder / "home"
    place = home / "camunda-auth-proxy"
    place.mkdir(parents=True)
    secret = place / "secret.txt"
    secret.write_text(camunda.keycloak.clients["orchestration"].secret, encoding="utf-8")
    client = {"type": "oauth2", "token_url": camunda.keycloak.url, "client_id": "orchestration"}
    settings = {
        "upstreams": {"zeebe": {"url": camunda.url("zeebe"), "listen": 0}},
        "credentials": {"keycloak": {**client, "client_secret_file": str(secret)}},
        "admin": {"listen": 0},
    }
    file = place / "config.yaml"
    file.write_text(json.dumps(settings), encoding="utf-8")
    if not WINDOWS:
        for path in (home, place, file, secret):
            path.chmod(0o700 if path.is_dir() else 0o600)
    return home


async def output(*command: str, env: dict[str, str], folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    text = (await process.communicate())[0].decode()
    assert process.returncode == 0, f"{command}: {process.returncode}\n{text}"
    return text


async def listening(stream: asyncio.StreamReader) -> str:
    """Return the port that the log names; the rest of the log is read and shown."""
    while line := (await stream.readline()).decode():
        sys.stderr.write(line)
        if match := re.search(r'"listening".*"listen": \["127\.0\.0\.1:(\d+)"', line):
            return match[1]
    raise AssertionError("the proxy ended before it listened")


async def run_it(env: dict[str, str], folder: Path) -> None:
    flags = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {}
    process = await asyncio.create_subprocess_exec(
        COMMAND, "run", env=env, cwd=folder, stderr=subprocess.PIPE, **flags
    )
    assert process.stderr is not None
    port = await asyncio.wait_for(listening(process.stderr), 60)
    answer = await output(CURL, "-sS", f"http://localhost:{port}/v2/topology", env=env, folder=folder)
    assert "gatewayVersion" in answer, answer
    process.send_signal(signal.CTRL_BREAK_EVENT if sys.platform == "win32" else signal.SIGINT)
    rest = await asyncio.wait_for(process.stderr.read(), 60)
    sys.stderr.write(rest.decode())
    assert await process.wait() == 0, process.returncode
    assert b'"stopped"' in rest


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with simulated_camunda() as camunda:
            home = configuration(camunda, folder)
            kept = {
                key: value for key, value in os.environ.items() if not key.startswith(("CAMUNDA", "ZEEBE"))
            }
            env = kept | {"APPDATA" if WINDOWS else "XDG_CONFIG_HOME": str(home)}
            checked = await output(COMMAND, "check", env=env, folder=folder)
            assert str(home) in checked, checked
            await run_it(env, folder)
            assert camunda.complaints == []
        shown = await output(COMMAND, "demo", env=env, folder=folder)
        assert "Everything was answered." in shown, shown
    sys.stdout.write("desktop: ok: check, run, curl, stop, demo\n")


if __name__ == "__main__":
    asyncio.run(main())
