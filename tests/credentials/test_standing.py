"""How a credential stands: a table."""

from math import inf

import pytest

from proxy.credentials.credential import Credential
from proxy.credentials.report import Condition, Failure
from proxy.credentials.schedule import RefreshState
from proxy.credentials.standing import Standing
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable, FetchOutcome

NOW = 1000.0
TOKEN = Credential((), 900.0, 1200.0)
SESSION = Credential((), 900.0, None, session=True)
FRESH = RefreshState(outcome="ok")
FAILED = RefreshState(failures=1, outcome="unavailable")
REFUSED = RefreshState(refusals=1, outcome="rejected")
REFUSED_BEFORE = RefreshState(failures=1, refusals=1, outcome="unavailable")
SECRET_CHANGED = RefreshState(outcome="rejected")
EXPIRED = "the credential has expired, and a new one is being fetched"


def standing(
    credential: Credential | None, good_until: float, state: RefreshState, failure: str | None = None
) -> Standing:
    return Standing(
        credential,
        good_until,
        900.0 if credential is not None else None,
        Failure(950.0, state.outcome or "unavailable", failure) if failure is not None else None,
        state,
    )


STANDINGS: list[tuple[Standing, bool, Condition, str]] = [
    (
        standing(None, -inf, RefreshState()),
        False,
        "starting",
        "the first fetch of a credential has not ended yet",
    ),
    (standing(None, -inf, FAILED, "it is down"), False, "unusable", "it is down"),
    (standing(TOKEN, 1200.0, FRESH), True, "good", ""),
    (standing(TOKEN, 1200.0, FAILED, "it is down"), True, "failing", "it is down"),
    (standing(TOKEN, 1200.0, REFUSED, "no"), True, "failing", "no"),
    (standing(TOKEN, 1200.0, SECRET_CHANGED, "no"), True, "starting", "no"),
    (standing(Credential((), 900.0, 1000.0), 1000.0, FRESH), False, "starting", EXPIRED),
    (standing(Credential((), 900.0, 1000.0), 1000.0, FAILED, "it is down"), False, "unusable", "it is down"),
    (standing(SESSION, 1200.0, FRESH), True, "good", ""),
    (standing(SESSION, 1000.0, FRESH), True, "good", ""),
    (standing(SESSION, 1000.0, FAILED, "it is down"), False, "unusable", "it is down"),
    (standing(SESSION, 1200.0, FAILED, "it is down"), True, "failing", "it is down"),
]


@pytest.mark.parametrize(("how", "usable", "condition", "reason"), STANDINGS)
def test_how_a_credential_stands(how: Standing, usable: bool, condition: Condition, reason: str) -> None:
    assert (how.usable(NOW), how.condition(NOW, "starting"), how.reason(NOW)) == (usable, condition, reason)


@pytest.mark.parametrize(
    ("state", "refused"),
    [(FRESH, False), (FAILED, False), (REFUSED, True), (REFUSED_BEFORE, False), (SECRET_CHANGED, False)],
)
def test_whether_we_were_refused_the_last_time(state: RefreshState, refused: bool) -> None:
    assert standing(TOKEN, 1200.0, state).refused is refused


ERRORS: list[tuple[FetchOutcome, type[CredentialError], FetchOutcome]] = [
    ("rejected", CredentialRejected, "rejected"),
    ("limited", CredentialUnavailable, "limited"),
    ("invalid", CredentialUnavailable, "invalid"),
    ("unavailable", CredentialUnavailable, "unavailable"),
]


@pytest.mark.parametrize(("outcome", "kind", "told"), ERRORS)
def test_an_error_says_what_failed_and_when_to_try_again(
    outcome: FetchOutcome, kind: type[CredentialError], told: FetchOutcome
) -> None:
    how = standing(TOKEN, 1200.0, RefreshState(failures=1, outcome=outcome), "what failed")
    for due, after in ((1060.0, 60.0), (1000.5, 1.0), (900.0, 1.0), (inf, 1.0)):
        error = how.error(NOW, due)
        assert (type(error), str(error), error.outcome) == (kind, "what failed", told)
        assert (due, error.retry_after) == (due, after)


def test_an_error_without_a_failure_says_that_no_other_credential_came() -> None:
    error = standing(TOKEN, 1200.0, FRESH).error(NOW, inf)
    assert (str(error), error.outcome) == ("no other credential came in time", "unavailable")
