"""What came of a credential: the token's claims or why there is none, and the clock of its server."""

from dataclasses import dataclass, field, replace
from math import inf

from proxy.commands.doctor.claims import Claims, bearer_token, claims
from proxy.commands.doctor.clocks import clock_step, difference
from proxy.commands.doctor.finding import Step, Why, day, duration, listed, split
from proxy.commands.doctor.foreign import foreign_steps, foreign_tokens
from proxy.commands.doctor.login_answers import LoginAsked, of_login
from proxy.commands.doctor.offer import not_offered, offer_of, offer_step
from proxy.commands.doctor.person import person_steps
from proxy.commands.doctor.places import Place, Surroundings, speaks_tls
from proxy.commands.doctor.recording import Exchange, hidden
from proxy.commands.doctor.targets import login_base
from proxy.commands.doctor.token_answers import (
    TokenAsked,
    of_discovery,
    of_token_answer,
    of_unusable_token,
)
from proxy.config.model import Basic, Bearer, CredentialConfig, NoCredential, OAuth2, Session, Upstream, User
from proxy.credentials.credential import Credential
from proxy.credentials.keeper import Keeper
from proxy.credentials.report import CredentialStatus
from proxy.outgoing.causes import cleaned, shown
from proxy.terms import DISCOVERY

SOON = 86400.0
"""A fixed token that expires within this many seconds gets a notice."""


@dataclass(slots=True)
class Got:
    """What came of one keeper.

    Attributes:
        exchanges: of its first attempt.
        credential: None: there is none.
        status: after the first attempt; None: before its end.
        claims: of its token; None: it has none, or it is no JWT.
        secrets: that no text of a server may bring back.
        ahead: seconds by which the clock of its server is ahead of ours; None: not known.
    """

    exchanges: list[Exchange] = field(repr=False)
    credential: Credential | None = None
    status: CredentialStatus | None = None
    claims: Claims | None = None
    ahead: float | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


async def examine_credential(
    config: CredentialConfig,
    upstream: Upstream,
    keeper: Keeper,
    got: Got,
    place: Place | None,
    around: Surroundings,
) -> list[Step]:
    """Return the steps about a credential whose first attempt has ended; complete `got`."""
    seconds = sum(each.seconds for each in got.exchanges) if got.exchanges else None
    if got.credential is not None:
        token = bearer_token(got.credential)
        got.claims = claims(token) if token else None
        steps = [_good(config, upstream, got, seconds, around)]
    else:
        steps = [await _bad(config, upstream, got, place, around, seconds)]
    if isinstance(config, OAuth2 | User):
        steps = [*_before(config, got, around), *steps]
    replies = [each for each in got.exchanges if each.reply is not None]
    if place is not None and replies and replies[-1].reply is not None:
        got.ahead = difference(replies[-1].reply.get("date"), replies[-1].ended)
        step = clock_step(got.ahead, str(place.peer))
        steps += [step] if step is not None else []
    return steps


def _before(config: OAuth2 | User, got: Got, around: Surroundings) -> list[Step]:
    """Return the steps before the token: what is sent for it, and what the issuer offers."""
    offer, wall = offer_of(got.exchanges), around.wall()
    before = foreign_steps(config, wall) if isinstance(config, OAuth2) else person_steps(config, offer, wall)
    return [*before, *([offer_step(offer)] if offer is not None else [])]


# -- there is one --


def _good(
    config: CredentialConfig, upstream: Upstream, got: Got, seconds: float | None, around: Surroundings
) -> Step:
    match config:
        case OAuth2() | User():
            return _token(config, upstream, got, seconds, around)
        case Bearer():
            return _fixed(config, got, around)
        case Session() | Basic() if got.credential is not None and got.credential.session:
            cookies = [value for name, value in got.credential.fields if name == b"Cookie"]
            names = sorted(
                cleaned(pair.partition("=")[0])
                for each in cookies
                for pair in each.decode("latin-1").split("; ")
            )
            said = f"user {cleaned(config.username)}, cookies {' '.join(names)}"
            return Step("login", "ok", said, seconds, facts={"user": config.username, "cookies": names})
        case Basic(as_session=True):
            why = Why(
                "no_session",
                f"The server offers no session, so user and password are sent with every request. Remove"
                f" credentials.{config.name}.as_session to save the attempt.",
            )
            return Step("login", "notice", f"user {cleaned(config.username)}", seconds, why)
        case Basic():
            return Step("secret", "ok", f"user {cleaned(config.username)} and a password")
        case NoCredential():
            return Step("secret", "ok", "none is sent")
    return Step("secret", "ok")


def _token(
    config: OAuth2 | User, upstream: Upstream, got: Got, seconds: float | None, around: Surroundings
) -> Step:
    credential = got.credential
    assert credential is not None  # noqa: S101
    life = (credential.expires_at or inf) - credential.fetched_at
    if got.claims is None:
        return Step(
            "token", "ok", f"opaque (no JWT), good for {duration(life)}", seconds, facts={"seconds": life}
        )
    said = f"good for {duration(life)}, {got.claims.said()}"
    facts = {**got.claims.facts(), "seconds": life}
    wanted = config.audience if isinstance(config, User) else upstream.audience
    if wanted and got.claims.audiences and wanted not in got.claims.audiences:
        why = Why(
            "audience_not_in_token",
            f"The audience `{wanted}` was requested, but the token is for {listed(got.claims.audiences)}."
            " Keycloak ignores the parameter: the client's audience mappers decide. If Camunda refuses the"
            " token, add a mapper there.",
        )
        return Step("token", "notice", said, seconds, why, facts)
    return Step("token", "ok", said, seconds, facts=facts)


def _fixed(config: Bearer, got: Got, around: Surroundings) -> Step:
    """A fixed token may be a JWT, and then it says when it expires."""
    if got.claims is None:
        return Step("secret", "ok", "a fixed token that is no JWT")
    said, facts, ends = got.claims.said(), got.claims.facts(), got.claims.expires
    if ends is None:
        return Step("secret", "ok", said, facts=facts)
    left = ends - around.wall()
    if left <= 0:
        why = Why(
            "token_expired",
            f"The fixed token of credentials.{config.name} expired on {day(ends)}. Write a new one where"
            f" credentials.{config.name}.token points to, or use type: oauth2, which renews it.",
        )
        return Step("secret", "wrong", said, why=why, facts=facts)
    if left < SOON:
        text = (
            f"The fixed token of credentials.{config.name} expires in {duration(left)}, and the proxy cannot"
            " renew it."
        )
        return Step("secret", "notice", said, why=Why("token_expires_soon", text), facts=facts)
    return Step("secret", "ok", said, facts=facts)


# -- there is none --


async def _bad(
    config: CredentialConfig,
    upstream: Upstream,
    got: Got,
    place: Place | None,
    around: Surroundings,
    seconds: float | None,
) -> Step:
    status = got.status
    message = status.reason if status is not None else ""
    rejected = status is not None and status.outcome == "rejected"
    last = got.exchanges[-1] if got.exchanges else None
    name = "login" if isinstance(config, Session | Basic) and got.exchanges else "token"
    if status is not None and status.outcome == "login_needed":
        return Step(
            "login", "wrong", why=Why("login_needed", f"{message[:1].upper()}{message[1:].rstrip('.')}.")
        )
    if last is None or place is None:
        why = Why("secret", f"credentials.{config.name}: {message.rstrip('.')}.")
        return Step("secret", "wrong", why=why)
    if last.reply is None:
        return Step(name, "wrong", "", seconds, await _unanswered(last, place, around, config.name))
    said = f"answered {last.reply.status}"
    last = replace(last, reply=hidden(last.reply, got.secrets))
    if isinstance(config, OAuth2):
        why = _no_token(config, upstream, last, message, around.wall())
        why = why._replace(words=why.words + not_offered(config, offer_of(got.exchanges)))
        return Step("token", "wrong", said, seconds, why)
    if isinstance(config, User):
        return Step("token", "wrong", said, seconds, Why("token", f"{message.rstrip('.')}."))
    assert isinstance(config, Session | Basic)  # noqa: S101
    base, setting = login_base(config, upstream)
    dialect = config.dialect if isinstance(config, Session) else "auto"
    asked = LoginAsked(f"credentials.{config.name}", base, setting, config.username, dialect)
    return Step("login", "wrong", said, seconds, of_login(_hidden(got), rejected, message, asked))


def _hidden(got: Got) -> list[Exchange]:
    return [
        replace(each, reply=hidden(each.reply, got.secrets) if each.reply is not None else None)
        for each in got.exchanges
    ]


def _no_token(config: OAuth2, upstream: Upstream, last: Exchange, message: str, wall: float) -> Why:
    section = f"credentials.{config.name}"
    reply = last.reply
    assert reply is not None  # noqa: S101
    if last.method == "GET" and last.url.endswith(DISCOVERY):
        return of_discovery(reply, config.issuer_url or "", message, section)
    asked = TokenAsked(
        section,
        shown(last.url),
        config.client_id or "",
        config.auth_method,
        config.request_format,
        upstream.audience,
        config.scope,
        config.resource,
        config.grant_type,
        *foreign_tokens(config, wall),
    )
    if reply.status == 200:
        return of_unusable_token(reply, message, asked)
    return of_token_answer(reply, last.seconds, asked)


async def _unanswered(last: Exchange, place: Place, around: Surroundings, name: str) -> Why:
    if place.tls is None and place.http_proxy is None and await speaks_tls(place, around):
        return Why(
            "plain_to_tls",
            f"{place.peer} speaks TLS at this port. Write https:// in {place.peer.setting}, or correct the"
            " port.",
        )
    text = f"{last.error.rstrip('.')}."
    if split(last.url).hostname != place.host:
        text += (
            " The identity provider itself names this URL. It may know itself by a host name that exists"
            f" only inside its network: write credentials.{name}.token_url, or give it a fixed host name (in"
            " Keycloak --hostname)."
        )
        return Why("issuer_endpoint", text)
    if "in time" in last.error and place.host.endswith("camunda.io"):
        text += (
            " Camunda SaaS delays requests with a wrong client or secret by 30 s: check"
            f" credentials.{name}.client_id and client_secret."
        )
    elif "in time" in last.error:
        text += " It takes connections but does not answer: look at its log, and at what stands before it."
    return Why("no_answer", text)
