"""Model of `store`: the Valkey or Redis that the proxies of a fleet share."""

import re
from typing import Annotated, Final, NamedTuple, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from proxy.config.document.addresses import host_name
from proxy.config.document.credentials import TlsDocument
from proxy.config.document.kinds import AnyText, Flag, KeyProblem, Model, Text

PORT: Final = 6379
SENTINEL_PORT: Final = 26379

_URL: Final = re.compile(r"(rediss?|valkeys?)://([^/?#\s]+)(?:/([0-9]{0,5}))?", re.ASCII)
_PLACE: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::([0-9]{1,5}))?", re.ASCII)


class StoreUrl(NamedTuple):
    """A URL of a store in parts.

    Attributes:
        addresses: host and port; the port is None if none was written.
    """

    encrypted: bool
    addresses: tuple[tuple[str, int | None], ...]
    database: int


def store_url(value: object) -> StoreUrl:
    """Read `redis://` or `rediss://` (TLS), one or several hosts with ports, and perhaps a database.

    Raises:
        ValueError: anything else, in a sentence.
    """
    if isinstance(value, StoreUrl):
        return value
    text = str(value)
    if "@" in text:
        raise ValueError("must not hold a user or a password; write username and password_file")
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("must be rediss://HOST:PORT (TLS) or redis://HOST:PORT, and perhaps /DATABASE")
    scheme, hosts, database = match.groups()
    places = tuple(_place(each) for each in hosts.split(","))
    return StoreUrl(scheme in {"rediss", "valkeys"}, places, int(database or 0))


def _place(text: str) -> tuple[str, int | None]:
    match = _PLACE.fullmatch(text)
    port = int(match[2]) if match is not None and match[2] is not None else None
    if match is None or port == 0 or (port or 1) > 65535:
        raise ValueError("its hosts are written as HOST:PORT, with commas between them")
    return host_name(match[1]), port


class StoreDocument(Model):
    """A Valkey or Redis in which a fleet of proxies shares tokens."""

    url: Annotated[
        StoreUrl,
        PlainValidator(store_url),
        WithJsonSchema(
            {
                "type": "string",
                "pattern": r"^(rediss?|valkeys?)://[^@/?#\s]+(/[0-9]{0,5})?$|\$\{",
                "examples": ["rediss://valkey.example:6379", "redis://10.0.0.1:26379,10.0.0.2:26379"],
            }
        ),
    ]
    """rediss://HOST:PORT (TLS) or redis://HOST:PORT; several hosts are Sentinels or nodes of a cluster."""
    sentinel_master: Text | None = None
    """The hosts are Sentinels, and this is the name of the master that they watch."""
    cluster: Flag = False
    """Whether the hosts are nodes of a cluster."""
    username: Text | None = None
    """User of its ACL; default: its default user."""
    password: Text | None = Field(default=None, repr=False)
    """Password of the user; better `password_file`."""
    password_file: Text | None = None
    """File with the password, read again for each new connection."""
    sentinel_username: Text | None = None
    """User at the Sentinels."""
    sentinel_password: Text | None = Field(default=None, repr=False)
    """Password at the Sentinels; better `sentinel_password_file`."""
    sentinel_password_file: Text | None = None
    """File with the password at the Sentinels."""
    prefix: AnyText = "camunda-auth-proxy:"
    """What the names of all keys begin with, for the ACL."""
    key_file: Text | None = None
    """File with the key that tokens are sealed with; default: it is derived from the client's secret."""
    tls: TlsDocument = TlsDocument()
    """TLS towards the store."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        several = len(self.url.addresses) > 1
        if self.cluster and self.sentinel_master is not None:
            raise KeyProblem("cluster", "is there next to sentinel_master; keep one of them")
        if several and not self.cluster and self.sentinel_master is None:
            raise KeyProblem("url", "names several hosts; write sentinel_master: NAME, or cluster: true")
        if self.cluster and self.url.database:
            raise KeyProblem("url", "names a database, but a cluster has only database 0; leave it out")
        if not self.url.encrypted and self.tls != TlsDocument():
            raise KeyProblem("tls", "has no effect on redis://; write rediss:// in url")
        if set(self.prefix) & set("{}"):
            raise KeyProblem("prefix", "must not hold { or }, which name the slot of a cluster")
        for key in ("password", "sentinel_password"):
            self._at_most_one(key)
        if self.username is not None and self.password is None and self.password_file is None:
            raise KeyProblem("password", "is missing: a username needs password or password_file")
        sentinels = (self.sentinel_username, self.sentinel_password, self.sentinel_password_file)
        if self.sentinel_master is None and any(each is not None for each in sentinels):
            raise KeyProblem("sentinel_master", "is missing; without it no Sentinel is asked")
        return self

    def _at_most_one(self, key: str) -> None:
        if getattr(self, key) is not None and getattr(self, f"{key}_file") is not None:
            raise KeyProblem(key, f"is there next to {key}_file; keep one of them")
