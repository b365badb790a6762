"""Pure: what an answer says about its reason."""

from proxy.commands.doctor.calls import Answer
from proxy.credentials.reply import strict_json
from proxy.outgoing.causes import cleaned


def document(answer: Answer) -> dict[str, object]:
    """Return the JSON object in a body; empty: there is none."""
    try:
        found = strict_json(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def challenge_of(answer: Answer) -> str:
    """Return all challenges, in lower case."""
    return ", ".join(value for name, value in answer.fields if name == "www-authenticate").lower()


def text_of(answer: Answer) -> str:
    """Return what the answer says about its reason: challenges and members of a problem."""
    found = document(answer)
    said = [
        str(found[name]) for name in ("detail", "message", "error_description", "error") if found.get(name)
    ]
    challenges = [value for name, value in answer.fields if name == "www-authenticate"]
    return cleaned(" ".join([*said, *challenges]))
