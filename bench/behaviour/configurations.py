"""Each peer's configuration for this job, with its own means, as its documentation has it.

All of them check the Host, send the origin's own Host, replace Authorization, remove the client's cookies,
keep connections to the origin, stream bodies, and verify the origin's certificate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.behaviour.lanes import CLIENT, HOSTS, SECRET, STATIC, Lane

Json = dict[str, Any]


# -- nginx: "How to prevent processing requests with undefined server names", ngx_http_proxy_module --

_NGINX: Final = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
{user}
events {{ worker_connections 8192; }}
http {{
    access_log off; client_max_body_size 0; server_names_hash_bucket_size 128;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
    proxy_ssl_trusted_certificate {certificate}; proxy_ssl_verify on; proxy_ssl_name 127.0.0.1;
{servers}
}}
"""
_NGINX_LANE: Final = """
    upstream u{listen} {{ server {authority}; keepalive 16; }}
    server {{ listen 127.0.0.1:{listen} default_server; server_name _; return 421; }}
    server {{
        listen 127.0.0.1:{listen}; server_name {names}; {times}
        location / {{
            proxy_pass {scheme}://u{listen}; proxy_set_header Host {authority};
            proxy_set_header Connection ""; {inject}
        }}
    }}"""


def nginx(lanes: Sequence[Lane], folder: Path, certificate: Path) -> str:
    servers = "".join(
        _NGINX_LANE.format(
            listen=lane.listen,
            authority=lane.authority,
            names=" ".join(HOSTS),
            scheme="https" if lane.tls else "http",
            times="client_body_timeout 1s; proxy_read_timeout 1s;" if lane.hasty else "",
            inject=""
            if lane.bare
            else f'proxy_set_header Authorization "Bearer {STATIC}"; proxy_set_header Cookie "";',
        )
        for lane in lanes
    )
    return _NGINX.format(folder=folder, certificate=certificate, servers=servers, user="user root;")


# -- HAProxy: configuration manual 4.2 --


def haproxy(lanes: Sequence[Lane], certificate: Path) -> str:
    lines = ["global", "  nbthread 1", "  maxconn 4000", "defaults", "  mode http", "  timeout connect 5s"]
    for lane in lanes:
        patience = "1s" if lane.hasty else "10m"
        lines += [
            f"frontend f{lane.listen}",
            f"  bind 127.0.0.1:{lane.listen}",
            f"  timeout client {patience}",
            "  http-request deny deny_status 421 unless { req.hdr(host),host_only -m str -i "
            + " ".join(HOSTS)
            + " }",
            f"  default_backend b{lane.listen}",
            f"backend b{lane.listen}",
            f"  timeout server {patience}",
            "  http-reuse always",
            f"  http-request set-header Host {lane.authority}",
        ]
        if not lane.bare:
            lines += [
                f'  http-request set-header Authorization "Bearer {STATIC}"',
                "  http-request del-header Cookie",
            ]
        tls = f" ssl verify required ca-file {certificate} verifyhost 127.0.0.1" if lane.tls else ""
        lines.append(f"  server origin {lane.authority}{tls}")
    return "\n".join(lines) + "\n"


# -- Envoy: credential_injector with its generic and its OAuth 2.0 credential --

_TYPE: Final = "type.googleapis.com/envoy.extensions."


def envoy(lanes: Sequence[Lane], certificate: Path) -> Json:
    clusters = [
        _cluster(f"c{lane.listen}", lane.authority, certificate if lane.tls else None) for lane in lanes
    ]
    clusters += [
        _cluster(f"t{lane.listen}", lane.token_url.split("/")[2], None)
        for lane in lanes
        if lane.token_url is not None
    ]
    secrets = [
        {"name": "static", "generic_secret": {"secret": {"inline_string": f"Bearer {STATIC}"}}},
        {"name": "secret", "generic_secret": {"secret": {"inline_string": SECRET}}},
    ]
    return {
        "static_resources": {
            "secrets": secrets,
            "listeners": [_listener(lane) for lane in lanes],
            "clusters": clusters,
        }
    }


def _listener(lane: Lane) -> Json:
    patience = "1s" if lane.hasty else "0s"
    route: Json = {"cluster": f"c{lane.listen}", "timeout": patience, "host_rewrite_literal": lane.authority}
    matched: Json = {"match": {"prefix": "/"}, "route": route}
    if not lane.bare:
        matched["request_headers_to_remove"] = ["cookie"]
    refused = {"match": {"prefix": "/"}, "direct_response": {"status": 421}}
    filters: list[Json] = [] if lane.bare else [_injector(lane)]
    filters.append({"name": "router", "typed_config": {"@type": f"{_TYPE}filters.http.router.v3.Router"}})
    manager = {
        "@type": f"{_TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "lane",
        "stream_idle_timeout": patience,
        "strip_any_host_port": True,
        "http_protocol_options": {
            "accept_http_10": True,
            "default_host_for_http_10": HOSTS[0],
            "allow_custom_methods": True,
        },
        "route_config": {
            "virtual_hosts": [
                {"name": "ours", "domains": list(HOSTS), "routes": [matched]},
                {"name": "others", "domains": ["*"], "routes": [refused]},
            ]
        },
        "http_filters": filters,
    }
    return {
        "name": f"l{lane.listen}",
        "address": _address(f"127.0.0.1:{lane.listen}"),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _injector(lane: Lane) -> Json:
    kind: Json = {
        "@type": f"{_TYPE}http.injected_credentials.generic.v3.Generic",
        "credential": {"name": "static"},
    }
    if lane.token_url is not None:
        kind = {
            "@type": f"{_TYPE}http.injected_credentials.oauth2.v3.OAuth2",
            "token_endpoint": {
                "cluster": f"t{lane.listen}",
                "uri": lane.token_url.partition("//")[2],
                "timeout": "5s",
            },
            "client_credentials": {"client_id": CLIENT, "client_secret": {"name": "secret"}},
        }
    injector = {
        "@type": f"{_TYPE}filters.http.credential_injector.v3.CredentialInjector",
        "overwrite": True,
        "credential": {"name": "credential", "typed_config": kind},
    }
    return {"name": "envoy.filters.http.credential_injector", "typed_config": injector}


def _cluster(name: str, authority: str, certificate: Path | None) -> Json:
    endpoint = {"endpoint": {"address": _address(authority)}}
    cluster: Json = {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if certificate is not None:
        trusted = {
            "trusted_ca": {"filename": str(certificate)},
            "match_typed_subject_alt_names": [{"san_type": "IP_ADDRESS", "matcher": {"exact": "127.0.0.1"}}],
        }
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{_TYPE}transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": {"validation_context": trusted},
            },
        }
    return cluster


def _address(authority: str) -> Json:
    host, _, port = authority.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


# -- Go: bench/behaviour/go --


def go(lanes: Sequence[Lane], certificate: Path) -> list[Json]:
    return [
        {
            "listen": f"127.0.0.1:{lane.listen}",
            "upstream": lane.url,
            "ca_file": str(certificate),
            "token": "" if lane.bare else STATIC,
            "token_url": lane.token_url or "",
            "client_id": CLIENT,
            "client_secret": SECRET,
            "hosts": [host.strip("[]") for host in HOSTS],
            "hasty": lane.hasty,
        }
        for lane in lanes
    ]


# -- ours --


def ours(lanes: Sequence[Lane], certificate: Path) -> Json:
    """JSON is YAML."""
    upstreams: Json = {}
    credentials: Json = {"static": {"type": "bearer", "token": STATIC}, "none": {"type": "none"}}
    for lane in lanes:
        name = f"u{lane.listen}"
        upstream: Json = {"api": "other", "url": lane.url, "listen": f"127.0.0.1:{lane.listen}"}
        upstream["credential"] = "none" if lane.bare else "static"
        if lane.token_url is not None:
            upstream["credential"] = name
            credentials[name] = {
                "type": "oauth2",
                "token_url": lane.token_url,
                "client_id": CLIENT,
                "client_secret": SECRET,
            }
        if lane.hasty:
            upstream |= {"idle_timeout": "1s", "response_timeout": "1s"}
        if lane.tls:
            upstream["tls"] = {"ca_file": str(certificate)}
        upstreams[name] = upstream
    used = {upstream["credential"] for upstream in upstreams.values()}
    credentials = {name: credential for name, credential in credentials.items() if name in used}
    return {"upstreams": upstreams, "credentials": credentials, "admin": {"listen": "127.0.0.1:0"}}
