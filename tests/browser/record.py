"""Records what Chromium sends for each attack, in tests/data/browser_requests.json.

`python -m tests.browser.record`. The requests go to a port at which nothing guards, so that all of them are
sent. Ports and marks become {port} and {mark}.
"""

import asyncio
import json
import re
import secrets
import tempfile
from pathlib import Path

from tests.browser.attacks import CASES, Attack, Page, in_page
from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import Port
from tests.browser.servers import PAGE, page_server, recording_upstream, tapped
from tests.http.cases import DATA

FILE = DATA / "browser_requests.json"


async def main() -> None:
    attacks, seen = [], set()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            chromium(Path(folder)) as browser,
            page_server() as pages,
            recording_upstream() as upstream,
            tapped(upstream.port) as tap,
        ):
            version = (await browser.call("Browser.getVersion"))["product"]
            for page, attack in CASES:
                name = f"{attack.name} from {page.name}"
                requests = await sent(browser, page, attack, Port(tap, "/v2/topology"), pages)
                if requests:
                    attacks.append({"name": name, "requests": requests})
                    seen.add(name)
    told = {"made": f"tests/browser/record.py, {version}, headless", "attacks": attacks}
    FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    missing = [f"{attack.name} from {page.name}" for page, attack in CASES]
    print(f"{len(attacks)} attacks; without a request: {sorted(set(missing) - seen)}")  # noqa: T201


async def sent(browser: Browser, page: Page, attack: Attack, port: Port, pages: int) -> list[str]:
    """The requests to the port, in order, as text."""
    mark = secrets.token_hex(8)
    async with browser.window() as tab:
        if page.rebound:
            await tab.find_rebound(f"http://{page.host}:{port.tap.port}/", PAGE)
            url = port.url(mark, attack.kind, page.host)
        else:
            await tab.type_address(f"http://{page.host}:{pages}/")
            url = port.url(mark, attack.kind)
        await tab.run(in_page(page, attack.script, url))
        exchanges = await port.tap.answered(mark)
    return [plain(each.asked, port.tap.port, pages, mark) for each in exchanges]


def plain(asked: bytes, port: int, pages: int, mark: str) -> str:
    """Without what differs between two runs."""
    text = asked.decode("latin-1").replace(mark, "{mark}")
    text = re.sub(rf":{port}\b", ":{port}", text)
    return re.sub(rf":{pages}\b", ":8000", text)


if __name__ == "__main__":
    asyncio.run(main())
