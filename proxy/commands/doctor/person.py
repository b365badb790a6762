"""What is known of the login of a person, and whether the identity provider offers what it needs."""

from collections.abc import Iterator

from proxy.app.user import login_of
from proxy.commands.doctor.finding import Step, Why, day, duration
from proxy.config.model import User
from proxy.credentials.metadata import Offered
from proxy.errors import CredentialError, StartError
from proxy.outgoing.causes import cleaned

REFRESH = "refresh_token"


def person_steps(config: User, offer: Offered | None, wall: float) -> Iterator[Step]:
    """Yield the steps before the token.

    Args:
        offer: of the issuer; None: not known.
        wall: seconds since 1970.
    """
    try:
        login = login_of(config)
    except (CredentialError, StartError):
        return  # the keeper's own attempt says so
    if login is None or login.ended_at is not None:
        return
    who = cleaned(login.username or login.subject) or "a person"
    where = "the keyring" if login.kept_in == "keyring" else f"a file in {config.storage_dir}"
    said = f"{who}, logged in {day(login.logged_in_at)}, refresh token in {where}"
    facts = {"username": login.username, "subject": login.subject, "kept_in": login.kept_in}
    if login.ends_at is not None and login.ends_fixed:
        left = login.ends_at - wall
        said += f", ends in {duration(left)}"
    if offer is not None and offer.grant_types and REFRESH not in offer.grant_types:
        words = (
            "The issuer's discovery document does not offer refresh tokens. Without them the login ends with"
            " the first access token: allow them for the client there."
        )
        yield Step("login", "notice", said, why=Why("no_refresh", words), facts=facts)
    else:
        yield Step("login", "ok", said, facts=facts)
