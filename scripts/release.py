#!/usr/bin/env python3
"""The steps of a release that read and write text (docs/releasing.md). Standard library alone.

- `check [--tag vX.Y.Z] [--repository OWNER/NAME]`: CHANGELOG.md, the files that name the version, and the
  tag agree.
- `version`: prints the version of the newest section of CHANGELOG.md.
- `notes X.Y.Z`: prints the section of CHANGELOG.md, with links that work on a release's page.
- `prepare X.Y.Z [--date YYYY-MM-DD]`: writes version and date into all of them, before the tag.
- `begin X.Y.Z`: begins the next version: a section in CHANGELOG.md, and its number in all files.
- `requirements DIST [--lock FILE]`: prints what `pip install --require-hashes` needs to install the wheels of
  the folder DIST.

Exit codes: 0, 1 (they do not agree), 2 (wrong use). Public functions raise Wrong with one sentence.
"""

import argparse
import hashlib
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
VERSION: Final = r"\d+\.\d+\.\d+"
PLACES: Final = (
    ("pyproject.toml", rf'^fallback-version = "({VERSION})\.dev0"$'),
    ("deploy/helm/*/Chart.yaml", rf"^ *(?:version|appVersion): ({VERSION})$"),
    ("deploy/helm/*/values.yaml", rf"^  tag: ({VERSION})$"),
    ("deploy/kubernetes/component/kustomization.yaml", rf"^ *newTag: ({VERSION})$"),
    *((files, rf"\bcamunda-auth-proxy:({VERSION})\b") for files in ("README.md", "docs/*.md", "deploy/**/*")),
)
"""Files below the root, and the pattern of a version in them: that of the newest section of CHANGELOG.md."""

_HEADING: Final = re.compile(rf"^## ({VERSION}) \((unreleased|\d{{4}}-\d\d-\d\d)\)$", re.MULTILINE)
_LINK: Final = re.compile(r"\]\((?![a-z]+:|#)([^()\s]+)\)")


class Wrong(Exception):
    """Says in one sentence what is wrong and what to do."""


def versions(changelog: str) -> list[tuple[str, str]]:
    """Return the versions of a changelog with their dates (`unreleased` or YYYY-MM-DD), newest first."""
    found = _HEADING.findall(changelog)
    if not found:
        raise Wrong(
            "CHANGELOG.md has no heading of the form «## 1.2.3 (unreleased)» or «## 1.2.3 (2026-11-30)»."
        )
    return found


def section(changelog: str, version: str) -> str:
    """Return what stands below the heading of a version."""
    for heading in _HEADING.finditer(changelog):
        if heading[1] == version:
            body = re.split(r"^## ", changelog[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]
            return f"{body.strip()}\n"
    raise Wrong(
        f"CHANGELOG.md has no section «## {version} (DATE)»; scripts/release.py prepare writes its heading."
    )


def notes(changelog: str, version: str, source: str) -> str:
    """Return the section of a version with absolute links to `source`, the repository's address."""
    return _LINK.sub(rf"]({source}/blob/v{version}/\1)", section(changelog, version))


def named(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield each place that names a version: file, line from 1, version."""
    for files, pattern in PLACES:
        for path in _files(root, files):
            text = path.read_text(encoding="utf-8")
            for match in re.finditer(pattern, text, re.MULTILINE):
                yield path, text.count("\n", 0, match.start(1)) + 1, match[1]


def source_of(root: Path) -> str:
    """Return the address of the repository, as the packages name it."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Source"])


def disagreements(root: Path, tag: str | None = None, repository: str | None = None) -> list[str]:
    """Return a sentence for each thing that does not agree. tag: as `v1.2.3`; repository: as `OWNER/NAME`."""
    version, dated = versions(_changelog(root))[0]
    found = [
        f"{path.relative_to(root)}:{line} says {other}, but the newest section of CHANGELOG.md is {version}: "
        f"run scripts/release.py prepare {version}."
        for path, line, other in named(root)
        if other != version
    ]
    if tag is not None and tag != f"v{version}":
        found.append(
            f"The tag {tag} is not v{version}, as the newest section of CHANGELOG.md demands: tag the commit "
            f"that scripts/release.py prepare made."
        )
    if tag is not None and dated == "unreleased":
        found.append(
            f"CHANGELOG.md calls {version} unreleased: run scripts/release.py prepare {version} first."
        )
    source = source_of(root)
    if repository is not None and not source.lower().endswith(f"/{repository.lower()}"):
        found.append(
            f"project.urls of pyproject.toml leads to {source}, but this is the repository {repository}: "
            f"change the addresses in pyproject.toml, so that the links of the packages lead here."
        )
    return found


def prepare(root: Path, version: str, day: date) -> list[Path]:
    """Give the unreleased section this version and day, write the version everywhere; return what changed."""
    changelog = _changelog(root)
    newest, dated = versions(changelog)[0]
    if dated != "unreleased" and newest != version:
        raise Wrong(f"CHANGELOG.md has no unreleased section: run scripts/release.py begin {version} first.")
    return _write(root, version, _HEADING.sub(f"## {version} ({day.isoformat()})", changelog, count=1))


def begin(root: Path, version: str) -> list[Path]:
    """Put an unreleased section above the others, write the version everywhere, and return what changed."""
    changelog = _changelog(root)
    newest, dated = versions(changelog)[0]
    if dated == "unreleased":
        raise Wrong(f"CHANGELOG.md has an unreleased section already, {newest}: release that one first.")
    heading = f"## {version} (unreleased)\n\n## {newest} ({dated})"
    return _write(root, version, _HEADING.sub(heading, changelog, count=1))


def _write(root: Path, version: str, changelog: str) -> list[Path]:
    if not re.fullmatch(VERSION, version):
        raise Wrong(f"«{version}» is not a version of the form 1.2.3.")
    new = {root / "CHANGELOG.md": changelog}
    for files, pattern in PLACES:
        for path in _files(root, files):
            before = new.get(path, path.read_text(encoding="utf-8"))
            new[path] = re.sub(pattern, lambda match: _replaced(match, version), before, flags=re.MULTILINE)
    changed = [path for path, text in new.items() if path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.write_text(new[path], encoding="utf-8")
    return changed


def _changelog(root: Path) -> str:
    return (root / "CHANGELOG.md").read_text(encoding="utf-8")


def requirements(dist: Path, lock: str) -> str:
    """Return a requirements file: the wheels of the folder by their hashes, then the dependencies' lock."""
    wheels = sorted(dist.glob("camunda_auth_proxy-*.whl"))
    numbers = {wheel.name.split("-")[1] for wheel in wheels}
    if len(numbers) != 1:
        raise Wrong(f"{dist} has to hold the wheels of one version, but holds {sorted(numbers) or 'none'}.")
    hashes = [f"    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" for wheel in wheels]
    return " \\\n".join([f"camunda-auth-proxy=={numbers.pop()}", *hashes]) + "\n" + lock


def _files(root: Path, pattern: str) -> list[Path]:
    """Return the text files that a pattern names."""
    kinds = {".md", ".yaml", ".toml", ".sh"}
    return sorted(path for path in root.glob(pattern) if path.is_file() and path.suffix in kinds)


def _replaced(match: re.Match[str], version: str) -> str:
    begin, end = (place - match.start() for place in match.span(1))
    return match[0][:begin] + version + match[0][end:]


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/release.py", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="whether tag, CHANGELOG.md and files agree")
    check.add_argument("--tag")
    check.add_argument("--repository")
    commands.add_parser("version", help="print the version of the newest section")
    commands.add_parser("notes", help="print the notes of a release").add_argument("version")
    preparing = commands.add_parser("prepare", help="write version and date into all files")
    preparing.add_argument("version")
    preparing.add_argument("--date", type=date.fromisoformat, default=datetime.now(UTC).date())
    commands.add_parser("begin", help="begin the next version").add_argument("version")
    pinning = commands.add_parser("requirements", help="print a requirements file with hashes")
    pinning.add_argument("dist", type=Path)
    pinning.add_argument("--lock", type=Path, default=ROOT / "requirements.lock")
    return parser.parse_args(arguments)


def main(arguments: list[str], root: Path = ROOT) -> int:
    options = _arguments(arguments)
    changed: list[Path] = []
    try:
        match options.command:
            case "version":
                sys.stdout.write(f"{versions(_changelog(root))[0][0]}\n")
            case "notes":
                sys.stdout.write(notes(_changelog(root), options.version, source_of(root)))
            case "prepare":
                changed = prepare(root, options.version, options.date)
            case "begin":
                changed = begin(root, options.version)
            case "requirements":
                sys.stdout.write(requirements(options.dist, options.lock.read_text(encoding="utf-8")))
            case _:
                found = disagreements(root, options.tag, options.repository)
                sys.stderr.writelines(f"{each}\n" for each in found)
                return 1 if found else 0
    except Wrong as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    sys.stdout.writelines(f"{path.relative_to(root)}\n" for path in changed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
