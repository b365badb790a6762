"""What users write down of this version: names, configurations, and what these mean."""

import re
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from proxy.cli import cli
from proxy.config.document.schema import schema
from proxy.config.load import load
from proxy.config.model import Config
from proxy.gateway.problems import KINDS
from tests.admin.test_metrics import documented
from tests.certificates import certificate

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"(?P<key>\w+_file): *(?P<name>(?:\$\{\w+\}|[^\s,}\]#])+)")
CONTENT = {
    **dict.fromkeys(("ca_file", "cert_file", "certificate_file", "client_ca_file"), "cert"),
    **dict.fromkeys(("private_key_file", "key_file"), "key"),
    **dict.fromkeys(("client_assertion_file", "assertion_file", "subject_token_file"), "jwt"),
}
"""What a file holds, by the setting that names it; else a secret."""

JWT = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.c2lnbmF0dXJl"
PLAIN = ("*/config.yaml", "*/*/config.yaml", "*/*/*/config.yaml")


def names() -> dict[str, set[str]]:
    """Every name of a kind, settings with `*` for the operator's own names."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text(encoding="utf-8"))
    return {
        "settings": settings(schema()),
        "metrics": set(documented()),
        "problems": set(KINDS),
        "alerts": {rule["alert"] for group in rules["groups"] for rule in group["rules"]},
        "commands": set(cli.commands),
    }


def settings(document: dict[str, Any]) -> set[str]:
    """Paths of the keys in a JSON Schema of the configuration."""
    found: set[str] = set()

    def walk(part: Any, above: str) -> None:
        if not isinstance(part, dict):
            return
        if "$ref" in part:
            walk(document["$defs"][part["$ref"].rpartition("/")[2]], above)
        for each in (*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())):
            walk(each.get("then", each), above)
        for key, below in part.get("properties", {}).items():
            found.add(f"{above}{key}")
            walk(below, f"{above}{key}.")
        more = part.get("additionalProperties"), *part.get("patternProperties", {}).values()
        for below in more:
            if above.count(".") == 1:  # upstreams, credentials, callers: by name
                walk(below, f"{above}*.")

    walk(document, "")
    return found


def configurations() -> dict[str, str]:
    """Every whole configuration that users copy, by where it stands: deploy/, the example, pages."""
    found = {"config.example.yaml": (ROOT / "config.example.yaml").read_text(encoding="utf-8")}
    for pattern in PLAIN:
        for path in sorted((ROOT / "deploy").glob(pattern)):
            found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "deploy/kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if isinstance(document, dict) and "config.yaml" in (data := document.get("data") or {}):
                found[path.relative_to(ROOT).as_posix()] = data["config.yaml"]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        blocks = re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
        whole = [each for each in blocks if re.search(r"^upstreams:", each, re.M) and "credentials:" in each]
        found |= {
            f"{path.relative_to(ROOT).as_posix()} {number}": each for number, each in enumerate(whole, 1)
        }
    return found


def loaded(text: str, folder: Path) -> Config:
    """Load a configuration as its user would, once every file that it names is there.

    Raises:
        ConfigError: it cannot be used.
    """
    chain, key = certificate(folder / "made", "localhost")
    made = {"cert": chain.read_text(), "key": key.read_text(), "jwt": JWT}

    def named(match: re.Match[str]) -> str:
        file = folder / sha256(match["name"].encode()).hexdigest()[:8]
        content = made.get(CONTENT.get(match["key"], ""), f"a-secret-of-{file.name}")
        file.write_text(content, encoding="utf-8")
        return f"{match['key']}: {file}"

    text = NAMED.sub(named, text)
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "value")
    return load(config=Path("c.yaml"), env_file=None, environ=environ, directory=folder)


def meaning(text: str) -> list[str]:
    """What a configuration means to callers: listener, URL, credential, audience of each upstream."""
    with tempfile.TemporaryDirectory() as folder:
        return means(loaded(text, Path(folder)))


def means(config: Config) -> list[str]:
    return [
        f"{each.name} {each.api} {each.listen} {each.url} {each.credential} "
        f"{type(config.credentials[each.credential]).__name__} {each.audience}"
        for each in config.upstreams
    ]
