"""The launchd agent and the logon task: what can be seen of them without macOS and Windows."""

import plistlib
import re
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_agent_starts_the_proxy_again_and_gives_it_its_grace() -> None:
    agent = plistlib.loads((DEPLOY / "macos/camunda-auth-proxy.plist").read_bytes())
    assert agent["ProgramArguments"][1:3] == ["run", "--config"]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["ExitTimeOut"] > 30  # shutdown.grace
    assert agent["Umask"] == 0o077
    paths = [*agent["ProgramArguments"], agent["StandardOutPath"], agent["StandardErrorPath"]]
    assert sum("/USER/" in path for path in paths) == 4  # as the comment in it says


def test_the_task_looks_for_the_configuration_where_the_proxy_does() -> None:
    script = (DEPLOY / "windows/logon-task.ps1").read_text(encoding="ascii")
    assert r"$env:APPDATA\camunda-auth-proxy\config.yaml" in script
    assert re.search(r"run --config", script)
