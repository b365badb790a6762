"""Reads the names of APIs that Camunda's Console writes into CAMUNDA_CREDENTIALS_SCOPES."""

import re
from dataclasses import dataclass

from proxy.config.camunda.draft import Draft
from proxy.config.camunda.names import READ, Use
from proxy.config.model import Api

# Console wrote names of components before 8.8, and of APIs since then, with or without " API". The first API
# of a word is the one that it surely means; the others belong to it if they have an address.
_CLUSTER: tuple[Api, ...] = ("zeebe", "operate", "tasklist")
WORDS: dict[str, tuple[Api, ...]] = {
    "zeebe": ("zeebe",),
    "operate": ("operate",),
    "tasklist": ("tasklist",),
    "optimize": ("optimize",),
    "orchestration": _CLUSTER,
    "orchestration cluster": _CLUSTER,
    "camunda 8": _CLUSTER,
    "administration": ("console",),
    "console": ("console",),
    "web modeler": ("modeler",),
    "modeler": ("modeler",),
    "hub": (),
    "secrets": (),
    "connector secrets": (),
}


@dataclass(frozen=True, slots=True)
class Scopes:
    """The APIs that a client may use.

    Attributes:
        variable: that says it; None: none does.
        allowed: None: every API, because a word is not known or nothing is said.
        sure: those that a word names surely; None: as `allowed`.
    """

    variable: str | None = None
    allowed: frozenset[Api] | None = None
    sure: frozenset[Api] | None = None


def scopes(draft: Draft) -> Scopes:
    """Read CAMUNDA_CREDENTIALS_SCOPES: words with commas between them."""
    found = draft.find(READ[Use.SCOPES])
    if found is None:
        return Scopes()
    words = [_word(part) for part in found.value.split(",") if part.strip()]
    known = [WORDS[word] for word in words if word in WORDS]
    sure = frozenset(apis[0] for apis in known if apis)
    if len(known) < len(words):
        draft.notice(f"{found.name} has a word that the proxy does not know, so no port is left out")
        return Scopes(found.name, None, sure if sure else None)
    return Scopes(found.name, frozenset(api for apis in known for api in apis), sure)


def _word(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.strip().lower()).removesuffix(" api")
