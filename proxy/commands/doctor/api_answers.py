"""Pure: what the answer of a Camunda API to a harmless call means, for every version from 8.2 to 8.10.

Facts: answers observed on real 8.6 servers and on Spring Security as in 8.6 to 8.10, Camunda's documentation
and issues. `refused_answers.py` and `refused_tokens.py` read 401 and 403.
"""

import json
import re
from typing import Final

from proxy.commands.doctor.answer_texts import document
from proxy.commands.doctor.api_asked import ApiAsked
from proxy.commands.doctor.calls import CALLS, Answer
from proxy.commands.doctor.finding import Mark, Why, split
from proxy.commands.doctor.refused_answers import forbidden, unauthorized
from proxy.outgoing.answer_causes import PAGES, speaks_tls
from proxy.outgoing.causes import cleaned, shown

LONG_HEAD: Final = 7000
"""Bytes of a request's head from which Tomcat's limit of 8 KB is near (tokens with many claims)."""

_LOGINS: Final = ("/login", "/sso-callback", "/signin")
_UI: Final = re.compile(r"/(?:v1|v2|operate|tasklist|identity|admin|console)$")

Verdict = tuple[Mark, Why | None]


def judge(answer: Answer, asked: ApiAsked) -> Verdict:
    """Return whether an answer is good, and if not, why."""
    status = answer.status
    if asked.api not in CALLS and (status < 300 or status in (400, 404, 405)):
        return "ok", None  # nothing is known about this API, but it has answered
    if status < 300:
        return _success(answer, asked)
    if status < 400:
        return "wrong", _redirect(answer, asked)
    if status == 401:
        return "wrong", unauthorized(answer, asked)
    if status == 403:
        return "wrong", forbidden(answer, asked)
    if status in (404, 405):
        return _no_such_path(answer, asked)
    if status in (400, 413, 414, 431):
        return _bad_request(answer, asked)
    if status == 421:
        return "wrong", Why(
            "misdirected",
            f"{asked} is not what this server serves (421). Correct the host in {asked.section}.url; if"
            f" {asked.section}.tls.server_name is set, it must name the same server.",
        )
    if status == 429:
        return "wrong", Why(
            "api_limited",
            f"{asked} limits requests (429). The proxy passes that on, because only the caller can slow"
            " down; other callers may use up the limit (in Camunda: back-pressure, more partitions or"
            " brokers help).",
        )
    return "wrong", _server_error(answer, asked)


def _success(answer: Answer, asked: ApiAsked) -> Verdict:
    if answer.media_type in PAGES:
        return "wrong", Why(
            "page",
            f"{asked} answers {asked.call} with a page for people, so it is a web application, or a login"
            f" page or gateway answers in its place. {_base_hint(asked)}",
        )
    if str(asked.call) == "GET /v2/topology":
        found = document(answer)
        if not isinstance(found.get("brokers"), list) and "gatewayVersion" not in found:
            return "wrong", Why(
                "not_camunda",
                f"{asked} answers {asked.call}, but not as Camunda does, so another program listens there."
                f" {_base_hint(asked)}",
            )
    return "ok", None


def _base_hint(asked: ApiAsked) -> str:
    found = _UI.search(asked.path)
    if found is not None:
        return f"Remove {found[0]} from the end of {asked.section}.url: the base URL is enough."
    if asked.api in ("operate", "tasklist"):
        return (
            f"Correct {asked.section}.url: the base URL, under which /v1 lies (Compose up to 8.7: Operate"
            " http://localhost:8081, Tasklist http://localhost:8082)."
        )
    return (
        f"Correct {asked.section}.url: the base URL, under which /v2 lies (Compose: http://localhost:8088 in"
        " 8.6 to 8.8, http://localhost:8080 from 8.9 on; SaaS: https://REGION.api.camunda.io/CLUSTER-ID)."
    )


def _redirect(answer: Answer, asked: ApiAsked) -> Why:
    location = answer.get("location")
    to, here = split(location), split(asked.url)
    where = shown(location) or cleaned(location.partition("?")[0])
    if to.scheme == "https" and here.scheme == "http" and to.hostname == here.hostname:
        return Why(
            "redirect_to_https",
            f"{asked} redirects http to https ({answer.status}), and the proxy follows no redirect with a"
            f" credential. Write https:// in {asked.section}.url.",
        )
    elsewhere = to.netloc not in ("", here.netloc)
    if elsewhere or to.path.rstrip("/").endswith(_LOGINS):
        text = (
            f"{asked} redirects {asked.call} to the login at {where} ({answer.status}): it does not accept"
            " our credential"
        )
        if asked.kind == "session":
            text += (
                ". The session is not known there: login and API must be one server; check"
                f" {asked.credential}.login_url"
            )
        elif asked.kind == "none":
            text += (
                f", because there is none. Give {asked.section} a credential (type oauth2, session or basic)"
            )
        else:
            text += (
                f" ({asked.kind}). A gateway with a login of its own (single sign-on) stands before it, or"
                " this server accepts sessions only (Operate and Tasklist up to 8.7: type: session)"
            )
        return Why("redirect_to_login", text + ".")
    return Why(
        "redirect",
        f"{asked} redirects {asked.call} to {where} ({answer.status}), which the proxy does not follow."
        f" Write the final base URL in {asked.section}.url.",
    )


def _bad_request(answer: Answer, asked: ApiAsked) -> Verdict:
    if speaks_tls(answer.status, answer.body):
        return "wrong", Why(
            "plain_to_tls",
            f"{asked} speaks TLS at this port. Write https:// in {asked.section}.url, or correct the port.",
        )
    if answer.status == 431 or (answer.status == 400 and asked.sent > LONG_HEAD):
        return "wrong", Why(
            "head_too_large",
            f"{asked} refuses a request head of {asked.sent} bytes ({answer.status}), because the token is"
            " large. Raise SERVER_MAX_HTTP_REQUEST_HEADER_SIZE at Camunda (Optimize:"
            " CAMUNDA_OPTIMIZE_CONTAINER_MAX_REQUEST_HEADER_SIZE_BYTES), or take groups and roles out of"
            " the token at the identity provider.",
        )
    if answer.status == 400 and (asked.call.any_answer or _is_camundas(answer)):
        return "ok", None  # it has read the request, so the credential was accepted
    return "wrong", Why(
        "bad_request",
        f"{asked} answers {asked.call} with {answer.status}{_said(answer)}. {_base_hint(asked)}",
    )


def _is_camundas(answer: Answer) -> bool:
    """Tell whether a 400 is one of Camunda's: a problem, or Operate's and Tasklist's own form of V1."""
    found = document(answer)
    return found.get("status") == 400 and ("title" in found or "instance" in found)


# -- 404 --


def _no_such_path(answer: Answer, asked: ApiAsked) -> Verdict:
    if asked.call.newer and answer.media_type not in PAGES:
        return "notice", Why(
            "older_version",
            f"{asked} does not have {asked.call}, so it is older than {asked.call.newer} or has no search;"
            " everything else works.",
        )
    if asked.call.any_answer and answer.media_type not in PAGES:
        return "ok", None
    return "wrong", _missing(answer, asked)


def _missing(answer: Answer, asked: ApiAsked) -> Why:
    if asked.api in ("operate", "tasklist") and asked.version:
        return _v1_gone(asked)
    if asked.saas and answer.media_type in PAGES:
        text = (
            f"{asked} knows no such cluster (404): the cluster id or the region in {asked.section}.url is"
            " wrong, or the cluster was deleted. Compare both with Console (Cluster, Overview)."
        )
        if not asked.host.endswith(
            (".api.camunda.io", ".optimize.camunda.io", ".privateconnectivity.camunda.io")
        ):
            text += " From 8.10 on only https://REGION.api.camunda.io/CLUSTER-ID exists (it works since 8.8)."
        return Why("cluster_unknown", text)
    if "/physical-tenants/" in asked.path:
        return Why(
            "tenant_unknown",
            f"{asked} knows no such physical tenant (404). Correct the tenant in {asked.section}.url, or"
            " create it in Camunda's configuration (8.10).",
        )
    if asked.version.startswith("8.5"):
        return Why(
            "version_too_old",
            f"{asked} has /v1/topology and no /v2: it is Camunda 8.5, whose REST API is older. Update"
            " Camunda to 8.6 or later, or call /v1.",
        )
    if asked.api == "optimize":
        return Why(
            "optimize_path",
            f"{asked} has no Optimize ({answer.status} to {asked.call}). Correct {asked.section}.url"
            " (Compose: http://localhost:8083), with its context path if there is one.",
        )
    return Why(
        "path",
        f"{asked} answers {asked.call} with {answer.status}{_said(answer)}: there is no such API below this"
        f" URL. {_base_hint(asked)} A context path (Helm: /orchestration, /core, /operate) belongs to the"
        " base URL, and the API may be switched off there.",
    )


def _v1_gone(asked: ApiAsked) -> Why:
    name = asked.api.capitalize()
    if _at_least(asked.version, 8, 10):
        return Why(
            "v1_removed",
            f"{asked} is Camunda {asked.version}, which has no V1 API of {name} any more: 8.10 removed it."
            " Call /v2 of the Orchestration Cluster instead (upstream `zeebe`), and remove this upstream.",
        )
    return Why(
        "v1_off",
        f"{asked} is Camunda {asked.version} and has /v2, but no V1 API of {name}. That is so with RDBMS or"
        f" H2 as secondary storage, or if {name} is not enabled (spring.profiles.active). Call /v2 (upstream"
        " `zeebe`); from 8.10 on V1 is gone.",
    )


def _at_least(version: str, major: int, minor: int) -> bool:
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (major, minor)


# -- 5xx --


def _server_error(answer: Answer, asked: ApiAsked) -> Why:
    status, said = answer.status, _said(answer)
    if status == 500 and asked.kind in ("oauth2", "user", "bearer") and "jwt" not in said.lower():
        return Why(
            "issuer_unreachable",
            f"{asked} fails at {asked.call} ({status}{said}) with a token{_issued(asked)}. Camunda 8.8 and"
            " later answers so if it cannot fetch the keys of its own issuer: check from inside its network"
            " that issuer-uri and jwk-set-uri (camunda.security.authentication.oidc) can be reached and"
            " that their certificate is trusted there; its log says why.",
        )
    if status == 503 and answer.get("retry-after"):
        return Why(
            "degraded",
            f"{asked} is not ready ({status}{said}, Retry-After {cleaned(answer.get('retry-after'))}): it"
            " starts, or its storage is down. Wait, and look at its health.",
        )
    if status in (502, 503, 504) and asked.saas:
        return Why(
            "cluster_paused",
            f"{asked} has no running cluster behind it ({status}): it may be paused, or be updated or"
            " created just now. Look at its state in Console, and resume it there.",
        )
    if status in (502, 503, 504) and answer.media_type != "application/problem+json":
        return Why(
            "gateway",
            f"{asked} is a gateway or ingress that does not reach Camunda ({status}). Look whether Camunda's"
            " pods or containers run and are ready, and at the ingress' own log.",
        )
    return Why(
        "server_error",
        f"{asked} fails at {asked.call} ({status}{said}). Our request was accepted as far as can be seen;"
        " look at Camunda's log, at that time.",
    )


def _issued(asked: ApiAsked) -> str:
    issuer = asked.claims.issuer if asked.claims is not None else ""
    return f" whose issuer is {issuer}" if issuer else ""


def _said(answer: Answer) -> str:
    """Return what the body says in a few words, with a comma before it."""
    found = document(answer)
    for name in ("detail", "message", "error", "title"):
        if isinstance(text := found.get(name), str) and text.strip():
            return f", {cleaned(text)}"
    return ""


def version_of(answer: Answer) -> str:
    """Return the version that an answer to `GET /v2/topology` names; empty: none."""
    try:
        found = json.loads(answer.body)
        version = found["gatewayVersion"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return cleaned(version) if isinstance(version, str) else ""
