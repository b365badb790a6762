"""Makes the table of Camunda's operations: which of them read, and which change something.

The clients tell methods and paths. `operations.tsv` beside this file adds what no open client has (Hub, MCP,
management, pages: from public documentation), and the class of each operation that the rule below gets wrong.

The rule: GET reads. PUT, PATCH and DELETE change something. POST reads if the last segment is `search`, or if
a segment is `statistics`. Every other POST changes something.
"""

import csv
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
TABLE: Final = HERE.parent / "proxy/access/operations.tsv"
FROM_DOCUMENTATION: Final = HERE / "operations.tsv"

# Camunda's line of each package. The packages' own first number is not it (10.x is 8.10).
PYTHON: Final = {"10.0.1": "8.10", "9.0.1": "8.9"}
CLUSTER_API: Final = {"9.1.5": "8.9", "8.8.4": "8.8"}
SDK: Final = {"8.8.13": "8.8", "8.7.30": "8.7", "8.6.38": "8.6"}
SDK_CLIENTS: Final = {
    # folder: the API and its prefix
    "c8": ("orchestration", "/v2"),
    "operate": ("operate-v1", "/v1"),
    "tasklist": ("tasklist-v1", "/v1"),
    "optimize": ("optimize", "/api"),
    "modeler": ("modeler-v1", "/api/v1"),
    "admin": ("administration", ""),
}
LINES: Final = ("8.6", "8.7", "8.8", "8.9", "8.10")
HEADING: Final = ("api", "versions", "method", "path", "operation", "class", "why")
ABOUT: Final = f"""\
# Operations of Camunda's APIs. scripts/operations makes this file; do not edit it.
# From PyPI camunda-orchestration-sdk {", ".join(PYTHON)}; npm @camunda8/orchestration-cluster-api \
{", ".join(CLUSTER_API)}; npm @camunda8/sdk {", ".join(SDK)} (all Apache-2.0); and from public documentation.
# class: reads; changes; secrets (changes nothing, but hands out secrets).
"""


class Found(NamedTuple):
    """An operation as a client has it; `version` is the line of Camunda, or `-`."""

    api: str
    version: str
    method: str
    path: str
    operation: str


_PYTHON: Final = re.compile(r'"method":\s*"(\w+)",\s*"url":\s*f?"([^"]+)"')
_JAVASCRIPT: Final = re.compile(
    r"(?:var|const) (\w+) = \(options\) => (?:(?!\(options\) =>)[\s\S])*?\.(get|post|put|patch|delete)\(\{"
    r'(?:(?!\(options\) =>)[\s\S])*?url: "([^"]+)"'
)
_METHOD_OF_CLASS: Final = re.compile(r"^    (?:async )?(\w+)\(.*\{$", re.MULTILINE)
_REST: Final = re.compile(r"\brest\s*(?:\.(get|post|put|patch|delete)\s*)?\(\s*[`'\"]([^`'\"]+)[`'\"]")
_CALL: Final = re.compile(
    r"method: '(\w+)',\s*(?:\w+: [^\n]*\n\s*)*?urlPath: [`'\"]([^`'\"]+)"
    r"|urlPath: [`'\"]([^`'\"]+)[`'\"],\s*(?:\w+: [^\n]*\n\s*)*?method: '(\w+)'"
)


def of_python(files: Mapping[str, str], version: str) -> Iterator[Found]:
    """Operations of camunda-orchestration-sdk: a file for each."""
    for name, text in files.items():
        match = re.fullmatch(r"camunda_orchestration_sdk/api/\w+/(?!__init__)(\w+)\.py", name)
        if match is None:
            continue
        call = _PYTHON.search(text)
        if call is None:
            raise ValueError(f"{name} has no method and URL where we look for them")
        path = re.sub(r"\{(\w+)\}", lambda each: f"{{{camel(each[1])}}}", call[2])
        yield cluster(version, call[1], path, camel(match[1]))


def of_cluster_api(files: Mapping[str, str], version: str) -> Iterator[Found]:
    """Operations of @camunda8/orchestration-cluster-api."""
    text = files["package/dist/index.cjs"]
    calls = text.count('    url: "/')
    found = list(_JAVASCRIPT.finditer(text))
    if len(found) != calls:
        raise ValueError(f"index.cjs has {calls} calls, but {len(found)} are understood")
    for call in found:
        yield cluster(version, call[2], call[3], call[1])


def of_sdk(files: Mapping[str, str], version: str) -> Iterator[Found]:
    """Operations of @camunda8/sdk."""
    for name, text in files.items():
        match = re.fullmatch(r"package/dist/(\w+)/lib/(?!Testable)\w+Client\.js", name)
        if match is None or match[1] not in SDK_CLIENTS:
            continue
        api, prefix = SDK_CLIENTS[match[1]]
        text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
        text = re.sub(r"const url = ('[^']+');([\s\S]*?\.\w+\()url,", r"\2\1,", text)
        starts = [(each.start(), each[1]) for each in _METHOD_OF_CLASS.finditer(text)]
        calls = [(each, each[1] or "get", each[2]) for each in _REST.finditer(text)]
        calls += [(each, each[1] or each[4], each[2] or each[3]) for each in _CALL.finditer(text)]
        for each, method, path in calls:
            operation = [title for start, title in starts if start < each.start()][-1]
            path = re.sub(r"\$\{(?:\w+\.)?(\w+)\}", r"{\1}", path.partition("?")[0])
            yield Found(api, version, method.upper(), f"{prefix}/{path}", operation)


def cluster(version: str, method: str, path: str, operation: str) -> Found:
    admin = path.startswith("/cluster/")
    where = path if admin or path.startswith("/v2/") else f"/v2{path}"
    return Found("cluster-admin" if admin else "orchestration", version, method.upper(), where, operation)


def camel(name: str) -> str:
    first, *more = name.split("_")
    return first + "".join(part.capitalize() for part in more)


def in_wheel(path: Path) -> dict[str, str]:
    """Texts of a wheel, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}


def in_package(path: Path) -> dict[str, str]:
    """Texts of a package of npm, by name."""
    with tarfile.open(path) as archive:
        names = [each for each in archive if each.name.endswith((".js", ".cjs"))]
        return {each.name: file.read().decode() for each in names if (file := archive.extractfile(each))}


def in_folder(path: Path, name: str) -> dict[str, str]:
    """Texts of an installed package, with names as they are in its archive, which begin with `name`."""
    found = [each for pattern in ("*.py", "*.js", "*.cjs") for each in path.rglob(pattern)]
    return {f"{name}/{each.relative_to(path).as_posix()}": each.read_text(encoding="utf-8") for each in found}


def packages(folder: Path) -> Iterator[Found]:
    """Operations of all packages in a folder, of the newest version first."""
    for number, version in PYTHON.items():
        wheel = in_wheel(folder / f"camunda_orchestration_sdk-{number}-py3-none-any.whl")
        yield from of_python(wheel, version)
    for number, version in CLUSTER_API.items():
        package = in_package(folder / f"camunda8-orchestration-cluster-api-{number}.tgz")
        yield from of_cluster_api(package, version)
    for number, version in SDK.items():
        yield from of_sdk(in_package(folder / f"camunda8-sdk-{number}.tgz"), version)


def download(folder: Path) -> None:
    for number in PYTHON:
        wanted = f"camunda-orchestration-sdk=={number}"
        run(folder, sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", wanted)
    for name, numbers in (("orchestration-cluster-api", CLUSTER_API), ("sdk", SDK)):
        for number in numbers:
            run(folder, "npm", "pack", "--silent", f"@camunda8/{name}@{number}")


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- pip and npm


def judged(method: str, path: str) -> tuple[str, str]:
    """Class and reason by the rule of this module."""
    if method != "POST":
        return ("reads" if method == "GET" else "changes"), ""
    segments = path.split("/")
    if segments[-1] == "search":
        return "reads", "a search: POST carries the filter"
    if "statistics" in segments:
        return "reads", "statistics: POST carries the filter"
    return "changes", ""


def table(found: Iterator[Found]) -> str:
    """The whole table; what documentation says replaces what the rule says."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    shapes: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    versions: dict[tuple[str, str, str], set[str]] = {}
    for each in found:
        shape = each.api, each.method, re.sub(r"\{\w+\}", "{}", each.path)
        key = shapes.setdefault(shape, (each.api, each.method, each.path))
        versions.setdefault(key, set()).add(each.version)
        kind, why = judged(each.method, each.path)
        rows.setdefault(key, [each.api, "", each.method, key[2], each.operation, kind, why])
    for key, those in versions.items():
        # elsewhere the client's line tells nothing about the server's
        rows[key][1] = ",".join(line for line in LINES if line in those) if "v2" in key[2] else "-"
    for row in documented():
        key = row[0], row[2], row[3]
        if row[4] == "not an operation":
            del rows[key]
        elif row[0] == "mcp":
            rows[row[0], row[4], row[3]] = row
        elif key in rows:
            rows[key][5:] = row[5:]
        else:
            rows[key] = row
    out = io.StringIO(ABOUT)
    out.seek(0, io.SEEK_END)
    writer = csv.writer(out, "excel-tab", lineterminator="\n")
    writer.writerow(HEADING)
    writer.writerows(sorted(rows.values(), key=lambda row: (row[0], row[3], row[2], row[4])))
    return out.getvalue()


def documented() -> list[list[str]]:
    lines = FROM_DOCUMENTATION.read_text(encoding="utf-8").splitlines()
    return list(csv.reader((line for line in lines if not line.startswith("#")), "excel-tab"))[1:]


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(arguments[arguments.index("--from") + 1] if "--from" in arguments else made)
        if "--from" not in arguments:
            download(folder)
        text = table(packages(folder))
    if "--check" not in arguments:
        TABLE.write_text(text, encoding="utf-8")
    elif TABLE.read_text(encoding="utf-8") != text:
        sys.exit(f"{TABLE.name} is not what the clients and {FROM_DOCUMENTATION} say; run scripts/operations")


if __name__ == "__main__":
    main(sys.argv[1:])
