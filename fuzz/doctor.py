"""What the doctor makes of any answer: an opinion that people can read, and that tells no secret."""

from collections.abc import Iterator
from itertools import product
from zlib import crc32

from fuzz.credentials import answer_of
from fuzz.pieces import CANARY
from proxy.commands.doctor.api_answers import judge
from proxy.commands.doctor.api_asked import ApiAsked
from proxy.commands.doctor.calls import ANYTHING, CALLS, Answer
from proxy.commands.doctor.claims import claims
from proxy.commands.doctor.finding import Why
from proxy.commands.doctor.login_answers import LoginAsked, of_login
from proxy.commands.doctor.recording import Exchange, hidden
from proxy.commands.doctor.token_answers import TokenAsked, of_discovery, of_token_answer, of_unusable_token
from proxy.credentials.reply import Reply

KINDS = ("oauth2", "session", "bearer", "basic", "none")
LONGEST = 2000


def doctor(octets: bytes) -> None:
    """Each reader says why an answer is wrong: printable, not too long, without the secret that was sent."""
    reply = hidden(answer_of(octets), (CANARY,))
    for why in (*_of_tokens(reply), *_of_apis(reply, crc32(octets))):
        assert CANARY not in why.words
        assert why.words.isprintable()
        assert len(why.words) < LONGEST
        assert why.name


def _of_tokens(reply: Reply) -> Iterator[Why]:
    asked = TokenAsked("credentials.c", "http://a:1/t", "client", "private_key_jwt", "form", "audience")
    yield of_token_answer(reply, 31.0, asked)
    yield of_unusable_token(reply, "it is wrong", asked)
    yield of_discovery(reply, "http://a:1", "it is wrong", "credentials.c")
    login = LoginAsked("credentials.c", "http://a:1", "upstreams.a.url", "demo", "auto")
    yield of_login([Exchange("POST", "http://a:1/login", reply, "", 0.0, 0.0)], False, "it is wrong", login)


def _of_apis(reply: Reply, chance: int) -> Iterator[Why]:
    answer = Answer(reply.status, reply.fields, reply.body)
    found = claims(f"a.{reply.body.decode('latin-1')}.b")
    pairs = list(product([*CALLS, "other"], KINDS))
    for api, kind in (pairs[chance % len(pairs)], pairs[chance // 64 % len(pairs)]):
        for call in CALLS.get(api, ANYTHING):
            saas = bool(chance & 1)
            asked = ApiAsked(
                "upstreams.a",
                "http://a:1",
                api,
                saas,
                kind,
                "credentials.c",
                call,
                claims=found,
                version="8.10",
            )
            mark, why = judge(answer, asked)
            assert (why is None) == (mark == "ok")
            if why is not None:
                yield why
