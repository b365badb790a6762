"""Tables for people on a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.app import Proxy, Served
    from proxy.config.model import Config


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def configuration(config: "Config") -> str:
    """What `check` prints: each upstream, and where its values came from."""
    heading = ("listener", "API", "upstream", "credential", "audience")
    rows: list[tuple[str, ...]] = [heading]
    for upstream in config.upstreams:
        kind = type(config.credentials[upstream.credential]).__name__
        credential = f"{upstream.credential} ({KINDS[kind]})"
        rows.append(
            (str(upstream.listen), upstream.api, str(upstream.url), credential, upstream.audience or "-")
        )
        origins = upstream.origins
        rows.append(
            (
                f"  {origins.get('listen', '')}",
                "",
                f"  {origins.get('url', '')}",
                f"  {origins.get('credential', '')}",
                f"  {origins.get('audience', '')}",
            )
        )
    return f"{config.source} is right.\n\n{table(rows)}\n\nadmin  http://{config.admin.listen}"


def running(proxy: "Proxy") -> str:
    """What `run` prints once on a terminal."""
    rows: list[tuple[str, ...]] = [("listener", "API", "upstream", "credential", "state")]
    for served in proxy.served:
        upstream = served.upstream
        status = served.keeper.snapshot()
        credential = f"{upstream.credential} {status.target}".rstrip()
        state = "ready" if status.usable else status.reason
        rows.append((_address(served), upstream.api, str(upstream.url), credential, state))
    return f"{table(rows)}\nadmin  http://{proxy.admin_address}"


def _address(served: "Served") -> str:
    """What to ask for: a URL, or the path of a Unix socket."""
    bound = served.bound
    if bound.path:
        return bound.addresses[0]
    if served.upstream.listen.host == "localhost":
        return f"http://localhost:{bound.port}"
    return f"http://{bound.addresses[0]}"


KINDS = {"OAuth2": "oauth2", "Bearer": "bearer", "Basic": "basic", "NoCredential": "none"}
