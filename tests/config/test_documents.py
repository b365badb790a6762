"""Every whole configuration that a page shows can be used as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

from proxy.config.load import load
from proxy.config.model import Config

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *(ROOT / "docs" / name for name in ("your-camunda.md", "comparison.md", "troubleshooting.md")),
    *sorted((ROOT / "docs/recipes").glob("*.md")),
)


def snippets() -> list[Any]:
    """Return each YAML block with upstreams, which is a whole configuration."""
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES
        if page.exists()
        for number, block in enumerate(
            re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        )
        if re.search(r"^upstreams:", block, re.MULTILINE)
    ]


def read(text: str, folder: Path) -> Config:
    """Load it, with every secret file it names put into the folder."""
    for name in re.findall(r"/run/secrets/[\w/]+", text):
        file = folder / name.replace("/", "_")
        file.write_text("a-secret-of-25-characters", encoding="utf-8")
        text = text.replace(name, str(file), 1)
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "value")
    return load(config=Path("c.yaml"), env_file=None, environ=environ, directory=folder)


def test_the_pages_have_snippets() -> None:
    assert len(snippets()) > 15


@pytest.mark.parametrize("snippet", snippets())
def test_a_whole_configuration_of_a_page_is_right(snippet: str, tmp_path: Path) -> None:
    assert read(snippet, tmp_path).upstreams
