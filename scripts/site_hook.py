"""A hook of MkDocs (mkdocs.yml): the same Markdown that a code host shows, as pages of the site.

- The pages of PROJECT lie outside docs/. They become pages below `project/`.
- A link is resolved as a code host does it. If it leads to a page of the site, it is changed to that page. If
  it leads to another file of the repository, only its text stays, because the site has no copy of the file.
  If there is no such file, that is a warning, which fails a strict build.
- A list may follow a paragraph without an empty line, and a list in a list is indented by two spaces.
"""

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PROJECT = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    *(f"deploy/{each}/README.md" for each in ("kubernetes", "windows", "macos")),
)
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
LIST = re.compile(r"^(?![ ]*(?:[-*]|\d+\.)[ ])(?=\S)(.+)\n(?=(?:[-*]|1\.)[ ])", re.MULTILINE)
NESTED = re.compile(r"^  (?=[-*] )", re.MULTILINE)
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)

log = logging.getLogger("mkdocs.hooks")


def on_files(files: Files, config: Any) -> Files:
    for path in PROJECT:
        text = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, f"project/{path}", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    here = page.file.src_uri
    parts = FENCE.split(markdown)
    parts[::2] = [_lists(_links(part, here, files)) for part in parts[::2]]
    return "".join(parts)


def _lists(text: str) -> str:
    return NESTED.sub("    ", LIST.sub(r"\1\n\n", text))


def _links(text: str, here: str, files: Files) -> str:
    """Change the links of a text; `here` is the page's place in the site."""
    source = here.removeprefix("project/") if here.startswith("project/") else f"docs/{here}"

    def changed(match: re.Match[str]) -> str:
        words, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        page = f"project/{place}" if place in PROJECT else place.removeprefix("docs/")
        if place.startswith("docs/") and not place.endswith(".md"):
            return words if (ROOT / place).exists() else match[0]
        if files.get_file_from_path(page) is not None and (place in PROJECT or place.startswith("docs/")):
            way = posixpath.relpath(page, posixpath.dirname(here) or ".")
            return f"[{words}]({way}{hash_}{anchor})"
        if not (ROOT / place).exists():
            log.warning("%s links to %s, which does not exist", source, target)
        return words

    return LINK.sub(changed, text)
