"""Pure: the calls that try an API and change nothing, and their answers."""

from dataclasses import dataclass, field
from typing import Final

from proxy.config.model import Api


@dataclass(frozen=True, slots=True)
class Call:
    """A call that changes nothing.

    Attributes:
        path: under the base URL.
        content: JSON body; empty: none.
        open: whether the API answers it without a credential, so that it says nothing about ours.
        newer: since which version there is this path; empty: in every version. Then 404 and 405 are no fault.
        any_answer: whether any answer of the API, 400 and 404 too, shows that the credential is accepted.
    """

    method: str
    path: str
    content: str = ""
    open: bool = False
    newer: str = ""
    any_answer: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"


TOPOLOGY: Final = Call("GET", "/v2/topology")
CALLS: Final[dict[str, tuple[Call, ...]]] = {
    "zeebe": (
        TOPOLOGY,
        Call("POST", "/v2/process-instances/search", '{"page":{"limit":1}}', newer="8.8"),
    ),
    "operate": (Call("POST", "/v1/process-definitions/search", '{"size":1}'),),
    "tasklist": (Call("POST", "/v1/tasks/search", '{"pageSize":1}'),),
    "optimize": (
        Call("GET", "/api/readyz", open=True),
        Call("GET", "/api/public/dashboard?collectionId=doctor", any_answer=True),
    ),
    "console": (Call("GET", "/clusters"),),
    "modeler": (Call("GET", "/v1/info"),),
    "hub": (Call("GET", "/api/v2/info", any_answer=True),),
}
"""By API. Sources: Camunda's documentation of each API, 8.2 to 8.10."""

ANYTHING: Final = (Call("GET", "/", any_answer=True),)


def calls_of(api: Api) -> tuple[Call, ...]:
    """Return the calls that try an API."""
    return CALLS.get(api, ANYTHING)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API answered.

    Attributes:
        fields: header fields in their order, names in lower case.
        body: its beginning.
        sent: bytes of our request's head.
    """

    status: int
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    sent: int = 0

    def get(self, name: str) -> str:
        """Return the first field of this name, which is in lower case; empty: absent."""
        return next((value for known, value in self.fields if known == name), "")

    @property
    def media_type(self) -> str:
        return self.get("content-type").partition(";")[0].strip().lower()
