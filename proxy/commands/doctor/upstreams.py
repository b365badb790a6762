"""Makes the harmless calls of an upstream, and says what came of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from proxy.commands.doctor.api_answers import judge, version_of
from proxy.commands.doctor.api_asked import ApiAsked
from proxy.commands.doctor.calls import TOPOLOGY, Answer, Call, calls_of
from proxy.commands.doctor.clocks import clock_step, difference
from proxy.commands.doctor.credentials import Got
from proxy.commands.doctor.finding import Step, Why, failed
from proxy.commands.doctor.places import Place, Surroundings, speaks_tls
from proxy.commands.doctor.recording import masked_bytes
from proxy.commands.doctor.sending import NotHttp, send
from proxy.commands.tables import kind
from proxy.config.model import Basic, CredentialConfig, OAuth2, Session, Upstream, User
from proxy.config.presets import PRESETS
from proxy.errors import UpstreamError
from proxy.masking import masked
from proxy.outgoing.causes import cause, shown

SELF_MANAGED: Final[dict[str, tuple[str, ...]]] = {
    "zeebe": ("orchestration-api", "zeebe-api"),
    "operate": ("orchestration-api", "operate-api"),
    "tasklist": ("orchestration-api", "tasklist-api"),
    "optimize": ("optimize-api",),
    "console": ("console-api",),
    "modeler": ("web-modeler-public-api",),
    "hub": ("web-modeler-public-api",),
}
"""Names that Camunda's own configuration gives its audiences, 8.2 to 8.10."""

OLD_TOPOLOGY: Final = Call("GET", "/v1/topology")
"""Of 8.5's REST API."""


async def examine_upstream(
    config: CredentialConfig,
    upstream: Upstream,
    got: Got,
    place: Place,
    around: Surroundings,
    tell: Callable[[str], None],
) -> tuple[Step, ...]:
    """Return the steps of an upstream's calls, up to the first that fails."""
    steps: list[Step] = []
    clock: Step | None = None
    for call in calls_of(upstream.api):
        tell(f"calling {place.peer.url}: {call}")
        try:
            answer = await _send(call, upstream, got, place, around)
        except UpstreamError as error:
            steps.append(Step(str(call), "wrong", why=await _unanswered(error, place, around)))
            break
        ahead = difference(answer.get("date"), around.wall())
        clock = clock or clock_step(ahead, str(place.peer))
        version = await _version(call, answer, upstream, got, place, around)
        asked = _asked(config, upstream, got, call, answer, around, version, ahead)
        steps.append(_step(answer, asked))
        if failed(steps):
            break
    return (*steps, clock) if clock is not None else tuple(steps)


async def _send(call: Call, upstream: Upstream, got: Got, place: Place, around: Surroundings) -> Answer:
    fields = got.credential.fields if got.credential is not None and not call.open else ()
    url = upstream.url
    answer = await send(place, call, url.path, url.authority, fields, around)
    return replace(
        answer,
        body=masked_bytes(answer.body, got.secrets),
        fields=tuple((name, masked(value, got.secrets)) for name, value in answer.fields),
    )


def _step(answer: Answer, asked: ApiAsked) -> Step:
    mark, why = judge(answer, asked)
    version = version_of(answer) if asked.call is TOPOLOGY else ""
    said = f"{answer.status}" + (f", Camunda {version}" if version else "")
    facts: dict[str, object] = {"status": answer.status}
    if version:
        facts["version"] = version
    return Step(str(asked.call), mark, said, answer.seconds, why, facts)


async def _version(
    call: Call, answer: Answer, upstream: Upstream, got: Got, place: Place, around: Surroundings
) -> str:
    """Return Camunda's version where it explains a 404; empty: it does not."""
    if answer.status not in (404, 405) or call.newer:
        return ""
    if upstream.api in ("operate", "tasklist"):
        with_v2 = await _quietly(TOPOLOGY, upstream, got, place, around)
        return version_of(with_v2) if with_v2 is not None else ""
    if call is TOPOLOGY:
        old = await _quietly(OLD_TOPOLOGY, upstream, got, place, around)
        return "8.5" if old is not None and old.status == 200 and version_of(old) else ""
    return ""


async def _quietly(
    call: Call, upstream: Upstream, got: Got, place: Place, around: Surroundings
) -> Answer | None:
    try:
        return await _send(call, upstream, got, place, around)
    except UpstreamError:
        return None


def _asked(
    config: CredentialConfig,
    upstream: Upstream,
    got: Got,
    call: Call,
    answer: Answer,
    around: Surroundings,
    version: str,
    ahead: float | None,
) -> ApiAsked:
    saas = upstream.url.saas
    preset = PRESETS.get(upstream.api)
    known = (preset.audience,) if saas and preset is not None else SELF_MANAGED.get(upstream.api, ())
    return ApiAsked(
        section=f"upstreams.{upstream.name}",
        url=str(upstream.url),
        api=upstream.api,
        saas=saas,
        kind=kind(config),
        credential=f"credentials.{config.name}",
        call=call,
        principal=_principal(config),
        audience=upstream.audience or "",
        known=known,
        token_endpoint=shown(got.exchanges[-1].url) if got.exchanges and _by_token(config) else "",
        claims=got.claims,
        sent=answer.sent,
        version=version,
        ahead=ahead - (got.ahead or 0.0) if ahead is not None else None,
        wall=around.wall(),
    )


def _by_token(config: CredentialConfig) -> bool:
    return isinstance(config, OAuth2 | User)


def _principal(config: CredentialConfig) -> str:
    match config:
        case OAuth2() | User():
            return config.client_id or ""
        case Session() | Basic():
            return config.username
    return ""


async def _unanswered(error: UpstreamError, place: Place, around: Surroundings) -> Why:
    """Say why a call got no answer."""
    peer = place.peer
    if isinstance(error, NotHttp):
        start = error.beginning
        if place.tls is None and start[:2] == b"\x15\x03":  # a TLS alert: RFC 8446 section 5.1
            return Why("plain_to_tls", f"{peer}: {cause('plain_to_tls', peer).words}.")
        if start[3:4] in (b"\x04", b"\x07") and start[:2] == b"\x00\x00":  # SETTINGS, GOAWAY: RFC 9113
            return Why("http2", f"{peer}: {cause('http2', peer).words}.")
        return Why("not_http", f"{peer}: {cause('not_http', peer).words}.")
    if place.tls is None and await speaks_tls(replace(place, http_proxy=None), around):
        return Why("plain_to_tls", f"{peer}: {cause('plain_to_tls', peer).words}.")
    return Why(error.cause or error.code, f"{peer}: {error}")
