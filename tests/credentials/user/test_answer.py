"""What an answer says of the refresh token: read apart from the access token, and strictly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.reply import Reply
from proxy.credentials.user.answer import Granted, error_of, granted

NOW = 1_900_000_000.0
ACCESS = {"access_token": "a", "token_type": "Bearer"}


def reply(members: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(members).encode(), (("content-type", "application/json"),))


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({**ACCESS}, Granted("", None)),
        ({**ACCESS, "refresh_token": "r"}, Granted("r", None)),
        ({"refresh_token": "r"}, Granted("r", None)),
        ({**ACCESS, "refresh_token": "two words"}, Granted("two words", None)),
        ({**ACCESS, "refresh_token": None}, Granted("", None)),
        ({**ACCESS, "refresh_token": ""}, Granted("", None)),
        ({**ACCESS, "refresh_token": 7}, Granted("", None)),
        ({**ACCESS, "refresh_token": "a\nb"}, Granted("", None)),
        ({**ACCESS, "refresh_token": "r" * 65537}, Granted("", None)),
        ({**ACCESS, "refresh_expires_in": 60}, Granted("", NOW + 60)),
        ({**ACCESS, "refresh_token_expires_in": 60}, Granted("", NOW + 60)),
        ({**ACCESS, "refresh_expires_in": 0}, Granted("", None)),
        ({**ACCESS, "refresh_expires_in": -1}, Granted("", None)),
        ({**ACCESS, "refresh_expires_in": True}, Granted("", None)),
        ({**ACCESS, "refresh_expires_in": "60"}, Granted("", None)),
        ({**ACCESS, "refresh_expires_in": 10**400}, Granted("", None)),
        ({**ACCESS, "error": "invalid_grant"}, None),
        ({}, None),
    ],
)
def test_a_good_answer(members: dict[str, object], found: Granted | None) -> None:
    assert granted(reply(members), NOW) == found


@pytest.mark.parametrize("status", [201, 302, 400, 401, 500, 502])
def test_only_a_200_grants_anything(status: int) -> None:
    assert granted(reply({**ACCESS, "refresh_token": "r"}, status), NOW) is None


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (400, ("invalid_grant", "over")),
        (401, ("invalid_grant", "over")),
        (403, ("invalid_grant", "over")),
        (200, ("", "")),
        (429, ("", "")),
        (500, ("", "")),
        (502, ("", "")),
    ],
)
def test_only_some_statuses_are_refusals(status: int, found: tuple[str, str]) -> None:
    assert error_of(reply({"error": "invalid_grant", "error_description": "over"}, status)) == found


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"error": "inv', b'{"error": 1, "error": 2}'])
def test_no_json_is_no_refusal(body: bytes) -> None:
    assert error_of(Reply(400, body)) == ("", "")


def test_no_repr_has_the_token() -> None:
    assert "canary" not in repr(granted(reply({**ACCESS, "refresh_token": "canary"}), NOW))


@given(st.integers(100, 599), st.binary(max_size=300))
def test_arbitrary_answers_raise_nothing(status: int, body: bytes) -> None:
    answer = Reply(status, body)
    assert isinstance(granted(answer, NOW), Granted | None)
    error, description = error_of(answer)
    assert isinstance(error + description, str)
