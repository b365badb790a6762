"""Whatever scripts/test-real fetched, with its licence: `python -m tests.real.artifacts FOLDER [--write]`.

Licences are the ones that the artifacts name: a POM's `licenses` (or its parent's), a package.json's
`license`, a wheel's metadata; `BY_HAND` has those that name none. Ends with 1 where one is not of `OPEN`, or
where something of Camunda's is not in `OF_CAMUNDA`. Names what artifacts.txt beside this file does not have;
`--write` writes that list anew.
"""

import json
import re
import sys
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_name("artifacts.txt")

OPEN = re.compile(
    r"(?i)\b(apache|asl|mit|mit-0|bsd|0bsd|bsd-\d-clause|isc|epl|eclipse (public|distribution) license|edl"
    r"|mpl|mozilla public license|cddl|lgpl|gnu lesser general public|psf|python|cc0|public domain|unlicense"
    r"|blueoak|bouncy castle|upl|common public license|classpath exception|gpl2 w/ cpe)\b"
)
FORBIDDEN = re.compile(
    r"(?i)\bagpl|affero|commons clause|sspl|busl|business source|camunda license|zeebe community"
)
BY_HAND = {  # from the projects' own sources and pages
    "classworlds:classworlds": "BSD",
    "commons-cli:commons-cli": "Apache-1.1",
    "org.apache.maven.doxia:doxia-sink-api": "Apache-2.0",
    "org.codehaus.plexus:plexus-container-default": "Apache-2.0",
    "org.codehaus.plexus:plexus-i18n": "Apache-2.0",
    "org.codehaus.plexus:plexus-interactivity-api": "Apache-2.0",
    "org.sonatype.plexus:plexus-build-api": "Apache-2.0",
    "camunda-orchestration-sdk": "Apache-2.0",  # its README
}

OF_CAMUNDA = frozenset(
    (
        "io.camunda:camunda-client-java",
        "io.camunda:zeebe-bpmn-model",
        "io.camunda:zeebe-client-java",
        "io.camunda:zeebe-gateway-protocol-impl",
    )
)
"""Its Java clients and what they need: Apache-2.0. Anything else of that group may be the vendor's server."""


class Artifact(NamedTuple):
    """`name` without a version: `group:artifact` of Maven's."""

    source: str
    name: str
    licence: str  # several are joined by " | ", any of which may be chosen

    @property
    def fault(self) -> str | None:
        """What speaks against having fetched it; None: nothing."""
        if self.source == "Maven" and self.name.startswith("io.camunda:") and self.name not in OF_CAMUNDA:
            return "is Camunda's, and none of its clients"
        choices = self.licence.split(" | ")
        if any(OPEN.search(each) and not FORBIDDEN.search(each) for each in choices):
            return None
        return f"has no open-source licence that we know: {self.licence or 'none is named'}"


def of_maven(repository: Path) -> Iterator[Artifact]:
    """Those of which more than the POM was fetched: libraries, plugins, distributions."""
    for pom in sorted(repository.rglob("*.pom")):
        if any(pom.parent.glob("*.jar")) or any(pom.parent.glob("*.zip")):
            group = ".".join(pom.parent.relative_to(repository).parts[:-2])
            name = f"{group}:{pom.parent.parent.name}"
            yield Artifact("Maven", name, " | ".join(_licences(repository, pom)) or BY_HAND.get(name, ""))


def _licences(repository: Path, pom: Path) -> list[str]:
    """The POM's, else the nearest parent's. Read as text: some old ones are no well-formed XML."""
    text = pom.read_text("utf-8", "replace")
    found: list[str] = re.findall(r"<license>.*?<name>\s*(.*?)\s*</name>", text, re.DOTALL)
    parent = re.search(r"<parent>(.*?)</parent>", text, re.DOTALL)
    if found or parent is None:
        return found
    named = dict(re.findall(r"<(groupId|artifactId|version)>\s*(.*?)\s*</", parent[1]))
    group, artifact, version = named["groupId"], named["artifactId"], named["version"]
    above = repository.joinpath(*group.split("."), artifact, version, f"{artifact}-{version}.pom")
    return _licences(repository, above) if above.exists() else []


def of_npm(modules: Path) -> Iterator[Artifact]:
    for file in sorted(modules.rglob("package.json")):
        package = json.loads(file.read_bytes())
        if (
            "name" in package
            and "version" in package
            and file.parent.parent.name in ("node_modules", file.parent.parent.name)
        ):
            licence = package.get("license", "")
            name = package["name"]
            yield Artifact("npm", name, licence if isinstance(licence, str) else licence.get("type", ""))


def of_pypi(environment: Path) -> Iterator[Artifact]:
    for file in sorted(environment.glob("lib/python3*/site-packages/*.dist-info/METADATA")):
        with file.open("rb") as opened:
            fields = BytesHeaderParser().parse(opened)
        classifiers = [each for each in fields.get_all("Classifier", []) if each.startswith("License ::")]
        named = fields.get("License-Expression") or " | ".join(classifiers) or fields.get("License", "")
        name = fields["Name"]
        yield Artifact("PyPI", name, named.splitlines()[0] if named else BY_HAND.get(name, ""))


def fetched(folder: Path) -> list[Artifact]:
    """All of them, each once."""
    everything = {
        *of_maven(folder / "maven"),
        *of_npm(folder / "clients/javascript/node_modules"),
        *of_pypi(folder / "clients/python"),
    }
    return sorted(everything)


def main(folder: Path, *, write: bool) -> int:
    artifacts = fetched(folder)
    faults = [f"{each.source} {each.name} {each.fault}" for each in artifacts if each.fault]
    if write:
        LIST.write_text("".join(f"{each.source}\t{each.name}\t{each.licence}\n" for each in artifacts))
    listed = set(LIST.read_text().splitlines())
    news = [
        f"{each.source} {each.name} is not in {LIST.name}"
        for each in artifacts
        if "\t".join(each) not in listed
    ]
    for line in (*faults, *news):
        sys.stderr.write(line + "\n")
    sys.stderr.write(f"{len(artifacts)} artifacts were fetched, {len(faults)} of them may not be\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), write="--write" in sys.argv))
