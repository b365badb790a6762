"""Paths: whatever one server may take for a login, or for a way out of the base URL, is taken for that."""

import re
from random import Random
from typing import Final
from urllib.parse import unquote_to_bytes, urljoin, urlsplit
from zlib import crc32

from proxy.demo.tomcat import read_path
from proxy.gateway.paths import has_dot_segments, is_plain, read, signs_in, stays_here

DOORS: Final = (b"/login", b"/logout", b"/api/login", b"/api/logout", b"/sso-callback", b"/v2/login")
_VISIBLE: Final = re.compile(rb"[!-\"$-~]*")  # of a target: no `#`


def paths(octets: bytes) -> None:
    """As naive servers read a path, so it is judged."""
    once = read(octets)
    assert once is None or read(once) == once
    if is_plain(octets):
        assert once == octets.lower()
    target = b"/" + bytes(octets)
    if _VISIBLE.fullmatch(target):
        _as_servers_do(target.partition(b"?")[0])
        signs_in(target)
    if stays_here(octets):
        _as_browsers_do(octets)
    _spelled(octets)


def _as_servers_do(path: bytes) -> None:
    tomcat = read_path(path.decode("ascii"))
    if tomcat is not None:
        _judged(path, tomcat.encode("utf-8", "surrogatepass"))
    for seen in (path, path.replace(b"\\", b"/")):
        for _ in range(3):
            for cut in (seen, re.sub(rb";[^/]*", b"", seen)):
                segments = re.split(rb"[/\\]", cut)
                dots = {b".", b".."}.intersection(segments)
                assert not dots or has_dot_segments(path), path
                _judged(path, cut)
            seen = unquote_to_bytes(seen)


def _judged(path: bytes, seen: bytes) -> None:
    """A server sees it so."""
    if seen.lower().rstrip(b"/") in DOORS:
        assert signs_in(path), path


def _as_browsers_do(reference: bytes) -> None:
    seen = "".join(each for each in reference.decode("latin-1") if each not in "\t\r\n").replace("\\", "/")
    url = urlsplit(urljoin("http://here:1/a/b", seen.strip()))
    assert (url.scheme, url.netloc) == ("http", "here:1"), reference
    assert not {".", ".."}.intersection(urlsplit(seen).path.split("/")), reference


def _spelled(octets: bytes) -> None:
    """A login stays one however it is spelled; the input says how, and what stands around it."""
    chance = Random(crc32(octets))
    door = chance.choice(DOORS)
    spelled = b"".join(_letter(bytes([each]), chance) for each in door)
    behind = chance.choice((b"", b"/", b"/x", b";a=b", b"?a", b"/%2e", b"%2f"))
    assert signs_in(spelled + behind), spelled + behind
    dots = b"".join(_letter(b".", chance) for _ in range(chance.choice((1, 2))))
    slash = chance.choice((b"/", b"%2f", b"\\", b"%5c", b"%252F"))
    assert has_dot_segments(b"/a" + slash + dots + chance.choice((b"", b"/b", b";x", b"%2fb", b"?q")))


def _letter(letter: bytes, chance: Random) -> bytes:
    match chance.randrange(6):
        case 0:
            return b"%%%02x" % letter[0]
        case 1:
            return b"%%25%02X" % letter[0]
        case 2 if letter != b"/":
            return letter.upper()
        case 3:
            return b"%%u%04x" % letter[0]
        case 4 if letter != b"/":
            return b"%%%02x%%%02X" % (0xC0 | letter[0] >> 6, 0x80 | letter[0] & 0x3F)
        case _:
            return letter
