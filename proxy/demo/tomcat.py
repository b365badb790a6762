"""Reads a target's path as Tomcat 10.1 does. Spring Security's firewall would refuse more (tried)."""

from urllib.parse import unquote

_REFUSED = ("%2f", "%5c", "%00", "\\")


def read_path(path: str) -> str | None:
    """Return the path that the application sees; None: Tomcat answers 400.

    Parameters (`;...`) are cut off first, then the path is decoded once, `//` is joined, and dot segments are
    resolved.

    Args:
        path: as it was sent, without its query.
    """
    lower = path.lower()
    if any(each in lower for each in _REFUSED):
        return None
    cut = "/".join(segment.partition(";")[0] for segment in path.split("/"))
    try:
        decoded = unquote(cut, errors="strict")
    except UnicodeDecodeError:
        return None
    kept: list[str] = []
    segments = decoded.split("/")[1:]
    for segment in segments:
        if segment == ".." and not kept:
            return None
        if segment == "..":
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    at_end = "/" if kept and segments[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + at_end
