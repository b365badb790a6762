"""Pure: does an answer say that the credential was refused."""

from proxy.gateway.framing import Field


def refused(status: int, notable: list[Field]) -> bool:
    """401; or 403 with a Bearer challenge that speaks of no missing scope.

    A real Operate 8.6.0 answers expired tokens with 403, an empty body and `WWW-Authenticate: Bearer`.
    Any other 403 is about permission, and a new token would not help (RFC 6750 section 3.1).

    Args:
        status: of the answer.
        notable: its fields, WWW-Authenticate among them; names in lower case.
    """
    if status == 401:
        return True
    if status != 403:
        return False
    challenges = [value.lower() for name, value in notable if name == b"www-authenticate"]
    return any(
        challenge.split(b" ", 1)[0] == b"bearer" and b"insufficient_scope" not in challenge
        for challenge in challenges
    )
