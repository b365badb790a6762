"""What README shows can be used as it stands."""

import re
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Config

ROOT = Path(__file__).parents[2]
SNIPPETS = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def read(text: str, folder: Path) -> Config:
    """Load it, with every secret file it names put into the folder."""
    for name in re.findall(r"/run/secrets/[\w/]+", text):
        file = folder / name.replace("/", "_")
        file.write_text("secret", encoding="utf-8")
        text = text.replace(name, str(file), 1)
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "value")
    return load(config=Path("c.yaml"), env_file=None, environ=environ, directory=folder)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_of_the_readme_is_right(snippet: str, tmp_path: Path) -> None:
    assert read(snippet, tmp_path).upstreams
