"""An MCP client (MCP's Python SDK) that calls one tool for each line of its input.

`mcp_client.py URL`, or `mcp_client.py COMMAND ARGUMENT...` for a server on stdio, such as mcp-remote.
A line is `{"tool": NAME, "arguments": {...}}`, or `{"list": true}`; the answer is a line
`{"result": TEXT, "progress": COUNT}`, `{"tools": [NAME, ...]}` or `{"error": SENTENCE}`. As MCP clients do,
it connects again after its session has ended.
"""

import json
import sys
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError


async def answer(client: Any, line: str) -> dict[str, Any]:
    wish = json.loads(line)
    steps = []

    async def progress(done: float, _total: float | None, _message: str | None) -> None:
        steps.append(done)

    try:
        with anyio.fail_after(wish.get("seconds", 30)):
            if "list" in wish:
                return {"tools": [tool.name for tool in (await client.list_tools()).tools]}
            result = await client.call_tool(wish["tool"], wish["arguments"], progress_callback=progress)
    except (MCPError, TimeoutError) as error:
        return {"error": str(error) or type(error).__name__}
    return {"result": result.content[0].text, "progress": len(steps)}


async def main(target: list[str]) -> None:
    server = target[0] if len(target) == 1 else StdioServerParameters(command=target[0], args=target[1:])
    while await connected(server):
        pass


async def connected(server: Any) -> bool:
    """Answer lines until the session ends; return whether there may be more of them."""
    try:
        async with Client(server) as client:
            say({"connected": True})
            while line := await anyio.to_thread.run_sync(sys.stdin.readline):
                said = await answer(client, line)
                say(said)
                if "ession" in said.get("error", ""):
                    return True
    except Exception as error:  # noqa: BLE001 -- whatever it is, the test wants its words
        say({"error": innermost(error)})
    return False


def say(members: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


def innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


if __name__ == "__main__":
    anyio.run(main, sys.argv[1:])
