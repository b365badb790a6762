"""Does an answer say that the credential was refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.framing import Field
from proxy.gateway.refusal import refused

CASES: list[tuple[int, list[bytes], bool]] = [
    (401, [], True),
    (401, [b"Basic realm=x"], True),
    (403, [], False),
    (403, [b"Bearer"], True),
    (403, [b'bearer error="invalid_token"'], True),
    (403, [b'Bearer error="insufficient_scope"'], False),
    (403, [b"Bearerish"], False),
    (403, [b"Basic"], False),
    (403, [b"Basic", b"Bearer"], True),
    (403, [b""], False),
    (407, [b"Bearer"], False),
    (302, [b"Bearer"], False),
    (500, [], False),
    (200, [b"Bearer"], False),
]


@pytest.mark.parametrize(("status", "challenges", "expected"), CASES)
def test_a_refusal(status: int, challenges: list[bytes], expected: bool) -> None:
    notable: list[Field] = [(b"www-authenticate", value) for value in challenges]
    assert refused(status, [(b"location", b"Bearer"), *notable]) is expected


@given(
    st.integers(100, 999),
    st.lists(st.tuples(st.just(b"www-authenticate"), st.binary(max_size=20)), max_size=3),
)
def test_only_401_and_403_refuse_and_403_never_without_a_challenge(status: int, fields: list[Field]) -> None:
    result = refused(status, fields)
    assert result or status != 401
    if result and status != 401:
        assert status == 403
        assert any(value.lower().startswith(b"bearer") for _, value in fields)
