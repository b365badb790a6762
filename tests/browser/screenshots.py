"""Makes screenshots of the page: `python -m tests.browser.screenshots FOLDER [STATE WIDTH SCHEME SECONDS]`.

Without a state it makes those that docs/page.md shows.
"""

import asyncio
import base64
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.browser.chromium import Browser, chromium
from tests.browser.page_states import in_state


class Shot(NamedTuple):
    """One screenshot.

    Attributes:
        width, height: CSS pixels; height 0: the whole page.
        scheme: `light`, `dark`, or `forced` for high contrast.
        seconds: for which clients make calls before the state begins.
    """

    state: str
    width: int
    height: int
    scheme: str
    seconds: float


DOCUMENTED = (
    Shot("well", 1280, 900, "light", 200.0),
    Shot("upstream-down", 1280, 900, "dark", 90.0),
    Shot("client-refused", 360, 1100, "light", 60.0),
    Shot("thirty", 1920, 1080, "light", 60.0),
)


async def taken(browser: Browser, url: str, shot: Shot, form: str) -> bytes:
    """The image, once the page has shown two events."""
    shape: dict[str, Any] = {
        "width": shot.width,
        "height": shot.height or 800,
        "deviceScaleFactor": 1,
        "mobile": True,  # no scroll bar
    }
    async with browser.window() as tab:
        await tab.call("Emulation.setDeviceMetricsOverride", shape)
        feature = {"name": "prefers-color-scheme", "value": shot.scheme}
        if shot.scheme == "forced":
            feature = {"name": "forced-colors", "value": "active"}
        await tab.call("Emulation.setEmulatedMedia", {"features": [feature]})
        await tab.type_address(url)
        await asyncio.sleep(2.5)
        if not shot.height:
            size = (await tab.call("Page.getLayoutMetrics"))["cssContentSize"]
            shape["height"] = min(int(size["height"]), 2400)
            await tab.call("Emulation.setDeviceMetricsOverride", shape)
            await asyncio.sleep(1.2)
        quality = {"quality": 82} if form == "webp" else {}
        made = await tab.call("Page.captureScreenshot", {"format": form, **quality})
    return base64.b64decode(made["data"])


async def main(folder: Path, shots: tuple[Shot, ...], form: str) -> None:
    with TemporaryDirectory() as profile:
        async with chromium(Path(profile)) as browser:
            for shot in shots:
                with TemporaryDirectory() as work:
                    async with in_state(shot.state, Path(work), shot.seconds) as url:
                        image = await taken(browser, url, shot, form)
                name = shot.state if form == "webp" else f"{shot.state}-{shot.width}-{shot.scheme}"
                path = folder / f"page-{name}.{form}"
                path.write_bytes(image)
                print(path, len(image))  # noqa: T201


if __name__ == "__main__":
    where, *more = sys.argv[1:]
    Path(where).mkdir(parents=True, exist_ok=True)
    if more:
        one = Shot(more[0], int(more[1]), 0, more[2], float(more[3]))
        asyncio.run(main(Path(where), (one,), "png"))
    else:
        asyncio.run(main(Path(where), DOCUMENTED, "webp"))
