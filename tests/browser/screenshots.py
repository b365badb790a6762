"""Makes screenshots of the page: python -m tests.browser.screenshots FOLDER [STATE WIDTH SCHEME SECONDS]."""

import asyncio
import base64
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.browser.chromium import Browser, chromium
from tests.browser.page_states import in_state

DOCUMENTED = (
    ("well", 1280, "light", 90.0),
    ("upstream-down", 1280, "dark", 60.0),
    ("client-refused", 360, "light", 30.0),
)
"""State, width in CSS pixels, colour scheme, and seconds of requests before, of what docs/images holds."""


async def taken(browser: Browser, url: str, width: int, scheme: str) -> bytes:
    """A PNG of the whole page, once it has shown two events."""
    async with browser.window() as tab:
        shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        await tab.call("Emulation.setDeviceMetricsOverride", shape)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await tab.call("Emulation.setEmulatedMedia", {"features": [feature]})
        await tab.type_address(url)
        await asyncio.sleep(2.5)
        size = (await tab.call("Page.getLayoutMetrics"))["cssContentSize"]
        shape["height"] = min(int(size["height"]), 2400 if width < 2000 else 2160)
        await tab.call("Emulation.setDeviceMetricsOverride", shape)
        await asyncio.sleep(1.2)
        made = await tab.call("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": False})
    return base64.b64decode(made["data"])


async def main(folder: Path, wanted: tuple[tuple[str, int, str, float], ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as profile:
        async with chromium(Path(profile)) as browser:
            for state, width, scheme, seconds in wanted:
                with TemporaryDirectory() as work:
                    async with in_state(state, Path(work), seconds) as url:
                        image = await taken(browser, url, width, scheme)
                path = folder / f"page-{state}-{width}-{scheme}.png"
                path.write_bytes(image)


if __name__ == "__main__":
    where, *more = sys.argv[1:]
    some = ((more[0], int(more[1]), more[2], float(more[3])),) if more else DOCUMENTED
    asyncio.run(main(Path(where), some))
