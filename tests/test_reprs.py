"""A repr ends up in tracebacks and debug lines: none has a secret in it."""

import dataclasses
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from pydantic import BaseModel

import proxy
from proxy.config.model import SecretRef
from proxy.credentials.secret import FileSecret, TextSecret

CANARY = "c4n4ry-0815"

SECRET = frozenset(
    [
        "access_token",
        "body",
        "buffer",
        "caller_token",
        "client_secret",
        "cookies",
        "csrf",
        "digest",
        "fields",
        "lines",
        "notable",
        "parameters",
        "password",
        "plain",
        "private_key",
        "proof",
        "ready",
        "text",
        "token",
        "token_url",
        "tree",
        "unexpanded",
        "user",
        "value",
    ]
)
"""Names of what holds a secret, or bytes of a request or an answer."""

PUBLIC_BYTES = frozenset(
    [
        "origin",
        "scheme",
        "authority",
        "prefix",
        "tenant",
        "outside",
        "via",
        "method",
        "host",
        "origins",
        "open_paths",
        "connection",
    ]
)
"""Bytes out of the configuration, and the parts of a request that say which one it is."""


HARMLESS = frozenset(
    (
        "proxy.admin.documents.Document.body",  # the page, metrics and status, which have no secret
        "proxy.admin.documents.Document.fields",  # header lines of the page
        "proxy.demo.dialects.Dialect.csrf",  # the name of a header field
        "proxy.gateway.answer_head.UsualHead.fields",  # an object without a repr of its own
    )
)


def types() -> Iterator[type]:
    """Everything with fields that we define."""
    for module in walk_packages(proxy.__path__, "proxy."):
        if module.name == "proxy.__main__":
            continue
        for each in vars(import_module(module.name)).values():
            if (
                isinstance(each, type)
                and each.__module__ == module.name
                and (
                    dataclasses.is_dataclass(each)
                    or (issubclass(each, tuple) and hasattr(each, "_fields"))
                    or issubclass(each, BaseModel)
                )
            ):
                yield each


def fields(kind: type) -> dict[str, str]:
    """Names, and types as they are written."""
    if issubclass(kind, BaseModel):
        return {name: str(field.annotation) for name, field in kind.model_fields.items()}
    if dataclasses.is_dataclass(kind):
        return {field.name: str(field.type) for field in dataclasses.fields(kind)}
    return {name: str(kind.__annotations__[name]) for name in kind._fields}  # type: ignore[attr-defined]


def filled(kind: type) -> Any:
    """An object in which every field says its name with a canary; no constructor is asked."""
    values: dict[str, Any] = {name: f"<{name}={CANARY}>" for name in fields(kind)}
    if issubclass(kind, BaseModel):
        return kind.model_construct(**values)
    if issubclass(kind, tuple):
        return tuple.__new__(kind, values.values())
    made = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def test_a_repr_shows_no_field_that_holds_a_secret() -> None:
    kinds = list(types())
    assert len(kinds) > 60
    for kind in kinds:
        shown = repr(filled(kind))
        for name, annotation in fields(kind).items():
            wrapped = "Secret" in annotation  # hides itself, see below
            if f"{kind.__module__}.{kind.__qualname__}.{name}" in HARMLESS:
                continue
            secret = (name in SECRET and not wrapped) or ("bytes" in annotation and name not in PUBLIC_BYTES)
            assert not (secret and f"<{name}={CANARY}>" in shown), (
                f"{kind.__module__}.{kind.__qualname__}.{name} is in its repr: "
                "field(repr=False), or a name in this test's tables"
            )


@pytest.mark.parametrize("secret", [SecretRef(text=CANARY), TextSecret(CANARY)])
def test_what_wraps_a_secret_hides_it_however_it_is_written(secret: object) -> None:
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert text in ("***", "[***]")


def test_a_secret_that_was_read_is_not_in_the_repr_of_its_file(tmp_path: Any) -> None:
    (tmp_path / "s").write_text(CANARY)
    secret = FileSecret(tmp_path / "s")
    assert secret.read() == CANARY
    assert repr(secret) == "***"
