"""Resolves the base URL of an upstream: from the cluster, or as written, without what is no part of it."""

from typing import Final

from proxy.config.document import addresses
from proxy.config.model import Api, BaseUrl
from proxy.config.presets import PRESETS
from proxy.config.resolve.context import Context
from proxy.config.written.findings import nearest

TENANTS: Final = "/physical-tenants/"
"""A physical tenant's part of every path (Camunda 8.10)."""

_UNDER_TENANTS: Final = ("zeebe", "other")
_PAGES: Final = frozenset(("operate", "tasklist", "identity", "admin"))
"""Pages for people below a cluster's base URL. Console's files of 8.8 name two of them as base URLs."""

_LEGACY: Final = frozenset(("zeebe", "operate", "tasklist"))
"""`REGION.zeebe.camunda.io` and its like serve clusters up to 8.9 (camunda#63815)."""


def resolved_url(name: str, api: Api, context: Context) -> BaseUrl | None:
    """Return the base URL, the path of the physical tenant included; None: it is missing, as findings say."""
    url = _url(name, api, context)
    tenant = context.document.upstreams[name].physical_tenant
    if tenant is None or url is None:
        return url
    place = ("upstreams", name, "physical_tenant")
    if api not in _UNDER_TENANTS:
        context.findings.add(place, f"has no effect with api {api}: only zeebe has physical tenants")
    elif TENANTS in f"{url.path}/":
        context.findings.add(place, "is there, but url names a tenant too; leave it out of url")
    return BaseUrl(url.scheme, url.host, url.port, f"{url.path}{tenant_path(tenant)}")


def tenant_path(tenant: str | None) -> str:
    """Return the path that a physical tenant adds; empty without one."""
    return "" if tenant is None else f"{TENANTS}{tenant}"


def _url(name: str, api: Api, context: Context) -> BaseUrl | None:
    document, place = context.document, ("upstreams", name, "url")
    url = document.upstreams[name].url
    if url is not None:
        return _tidied(name, api, url, context)
    if api == "other":
        near = nearest(name, PRESETS)
        context.findings.add(place, f"is missing: an API without a preset needs url and listen{near}")
    elif context.written.tree.get("cluster") is None:
        context.findings.add(place, "is missing: write it, or `cluster` with region and id for Camunda SaaS")
    elif document.cluster is not None:
        return addresses.base_url(
            PRESETS[api].saas_url.format(region=document.cluster.region, id=document.cluster.id)
        )
    return None


def _tidied(name: str, api: Api, url: BaseUrl, context: Context) -> BaseUrl:
    """Return the URL without a page for people; add notices about everything else that is seldom meant."""
    notice = context.findings.notice
    if api == "other":
        return url
    url, page = _without_page(api, url)
    if page and url.saas:
        notice(f"upstream `{name}`: /{page} at the end of its url is a page for people, so it is left out")
    elif page:
        notice(
            f"upstream `{name}`: its url ends in /{page}; from Camunda 8.8 on that is a page for people, "
            f"unless it is your context path; the API is at /{PRESETS[api].version.strip('/')} below the host"
        )
    version = PRESETS[api].version
    if version and url.path.endswith(version):
        notice(
            f"upstream `{name}`: its url ends in {version}; leave that out, because callers send {version} "
            "themselves"
        )
    if (region := _legacy_region(url)) is not None:
        notice(
            f"upstream `{name}`: {url.host} serves no cluster of Camunda 8.10 (404); from 8.8 on write "
            f"https://{region}.api.camunda.io/CLUSTER-ID"
        )
    return url


def _without_page(api: Api, url: BaseUrl) -> tuple[BaseUrl, str]:
    """Return the URL without the page for people that it ends with, if it is on SaaS; and that page.

    Elsewhere it may be the server's context path, so it stays.
    """
    parts = url.path.split("/")[1:]
    if not url.saas:
        return url, parts[-1] if parts and parts[-1] == api and api in _PAGES else ""
    above = 0 if url.host.endswith(".privateconnectivity.camunda.io") else 1
    for at, part in enumerate(parts):
        if at >= above and part in _PAGES:
            return BaseUrl(url.scheme, url.host, url.port, "".join(f"/{each}" for each in parts[:at])), part
    return url, ""


def _legacy_region(url: BaseUrl) -> str | None:
    """Return the region of a host that only clusters up to 8.9 have; None: it is another host."""
    labels = url.host.removesuffix(".").split(".")
    legacy = len(labels) >= 4 and labels[-2:] == ["camunda", "io"] and labels[-3] in _LEGACY
    return labels[-4] if legacy else None
