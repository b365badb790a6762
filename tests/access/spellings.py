"""Requests that change something, in every spelling that some server may understand."""

from collections.abc import Iterator
from typing import NamedTuple


class Spelled(NamedTuple):
    """A request; `lines` are its fields beside Host and those of its body."""

    method: str
    target: str
    lines: tuple[str, ...] = ()
    body: bytes = b""

    def encoded(self, host: str = "localhost", *, chunked: bool = False) -> bytes:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(self.body)}"
        lines = (f"{self.method} {self.target} HTTP/1.1", f"Host: {host}", *self.lines, framing, "", "")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(self.body), self.body) if chunked else self.body
        return "\r\n".join(lines).encode() + body


READS = ("/v2/process-instances/search", "/v2/topology", "/v2/users/search")
"""Paths that read, for what is put before or behind a change."""

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
PARTS = "Content-Type: multipart/form-data; boundary=x"
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override")


def targets(path: str) -> Iterator[str]:
    """A path, in every spelling."""
    first, *rest = path[1:].split("/")
    last = path.rpartition("/")[2]
    above = path.removesuffix(f"/{last}")
    yield from (path, f"{path}?x=/search", f"{path}?", f"{path}#/search", f"{path}?a=b#/search")
    yield from (f"http://localhost{path}", f"HTTP://LOCALHOST{path}", f"https://localhost{path}")
    for end in (
        "/",
        "//",
        "/.",
        "/./",
        ".",
        "..",
        "%20",
        "%09",
        ".json",
        ".do",
        "%2f",
        "%2e",
        "%00",
        "%0a",
        "\\",
    ):
        yield path + end
    for end in (
        ";",
        ";a=b",
        ";a=/search",
        ";/search",
        "%3b",
        "%3Ba=b",
        ";a=b/",
        "%23",
        "%3f",
        "%3Fx=/search",
    ):
        yield path + end
    for start in (
        "/",
        "/.",
        "/./.",
        "/x/..",
        "/x/..;",
        "/%2e",
        "/x/%2e%2e",
        "/x/..%2f..",
        "/;a=b",
        "/\\",
        "\\",
    ):
        yield start + path
    for between in (
        "//",
        "/./",
        "/x/../",
        ";a=b/",
        ";/",
        "%2f",
        "%2F",
        "\\",
        "%5c",
        "/%2e/",
        "/%252e%252e/",
        "%252f",
    ):
        yield f"{above}{between}{last}"
    for spelled in (
        "".join(f"%{ord(letter):02x}" for letter in last),
        "".join(f"%25{ord(letter):02X}" for letter in last),
        *(f"%{ord(last[0]):02X}{last[1:]}", f"%u00{ord(last[0]):02x}{last[1:]}"),
        *(last.upper(), last.capitalize(), f"{last[:-1]}%ef%bd{ord(last[-1]) + 0x20:02x}"),
        f"{last[:-1]}%c1%{0x80 | ord(last[-1]) & 0x3F:02x}",
    ):
        yield f"{above}/{spelled}"
    yield f"/%{ord(first[0]):02x}{'/'.join([first[1:], *rest])}"
    yield path.replace("/", "%ef%bc%8f").replace("%ef%bc%8f", "/", 1)
    for read in READS:
        up = read.count("/")
        for back in ("/..", "/%2e%2e", "/..;", "/..;a=b", "/.%2e", "/%252e%252e", "\\..", "%2f.."):
            yield f"{read}{back * up}{path}"
        yield from (f"{read};{path}", f"{read}%3f{path}", f"{read}%00{path}", f"{read}%0d%0a{path}")
        yield from (f"{path};{read}", f"{path}%00{read}", f"{path}/..;{read}", f"{path}{'/..' * up}")
    yield from (f"{path}/search/..", f"{path}/search/../", f"{path}/search;/..", f"{path}/search/..;/")
    yield from (f"{path}/search/%2e%2e", f"{path}/search%2f..", f"{path}/x/..", f"{path}/search//..")


def spelled(method: str, path: str, body: bytes, *lines: str) -> Iterator[Spelled]:
    """A change in every spelling of its path and its method."""
    for target in targets(path):
        for name in dict.fromkeys((method, method.lower(), method.capitalize())):
            yield Spelled(name, target, lines, body)
    for name in ("GET", "HEAD", "PUT", "OPTIONS", "PURGE", "SEARCH", "QUERY"):
        if name != method:
            yield Spelled(name, path, lines, body)
    for name in OVERRIDES:
        yield Spelled("GET", path, (*lines, f"{name}: {method}"), body)
        yield Spelled("POST", path, (*lines, f"{name}: {method}"), body)


def overridden(method: str, path: str) -> Iterator[Spelled]:
    """Another method for a path that reads with POST."""
    for name in OVERRIDES:
        yield Spelled("POST", path, (JSON, f"{name}: {method}"), b"{}")
        yield Spelled("GET", path, (JSON, f"{name.upper()}: {method}"), b"{}")
    for query in (
        f"_method={method}",
        f"a=b&_method={method}",
        f"%5fmethod={method}",
        f"_METHOD={method.lower()}",
    ):
        yield Spelled("POST", f"{path}?{query}", (JSON,), b"{}")
        yield Spelled("POST", f"{path}?{query}", (FORM,), b"a=b")
    form = f"_method={method}".encode()
    yield Spelled("POST", path, (FORM,), form)
    yield Spelled("POST", path, (f"{FORM};charset=UTF-8",), form)
    part = f'--x\r\nContent-Disposition: form-data; name="_method"\r\n\r\n{method}\r\n--x--\r\n'
    yield Spelled("POST", path, (PARTS,), part.encode())
