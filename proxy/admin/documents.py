"""Answers of the admin ports that are no errors."""

import json
from typing import NamedTuple, Protocol

from proxy.admin.status import Json
from proxy.gateway.call import Call
from proxy.gateway.problems import own_head

PLAIN = (
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    "Cross-Origin-Resource-Policy: same-origin",
)
"""Fields of every answer."""


class Document(NamedTuple):
    """An answer of known length.

    Attributes:
        fields: further header lines, `Name: value`, in ASCII.
    """

    status: int
    content_type: str
    body: bytes
    fields: tuple[str, ...] = ()

    def encoded(self, date: str, *, keep_alive: bool, minor: int, with_body: bool) -> bytes:
        """Return the whole message; see `OwnAnswer.encoded`."""
        lines = (
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *PLAIN,
            *self.fields,
        )
        head = own_head(self.status, date, *lines, keep_alive=keep_alive, minor=minor) + b"\r\n"
        return head + self.body if with_body else head


class Stream(Protocol):
    """An answer that goes on until the caller leaves or the port closes."""

    async def answer(self, call: Call, date: str) -> None:
        """Write it to the call's caller; return at its end. Cancelled if the caller leaves."""
        ...


def json_document(value: Json, *, ok: bool = True) -> Document:
    """Make a document of JSON; `ok`: 200, else 503."""
    return Document(200 if ok else 503, "application/json", json.dumps(value).encode() + b"\n")
