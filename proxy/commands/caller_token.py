"""The `token` command: makes the token of a caller."""

import secrets
from hashlib import sha256
from typing import Final

import click

from proxy.terms import CALLER_TOKEN_PREFIX, NAME

RANDOM_BYTES: Final = 32


def make() -> str:
    """Make a token: the prefix and 256 random bits, in the URL-safe alphabet of Base64."""
    return CALLER_TOKEN_PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def new(name: str) -> str:
    """Make a token, and return what the operator has to know and to paste.

    Raises:
        click.UsageError: no caller can have that name.
    """
    if not NAME.fullmatch(name):
        raise click.UsageError(
            "NAME may only hold letters, digits and . _ -, begins with a letter or a digit, and has at most "
            "64 of them."
        )
    token = make()
    return f"""\
The token of caller {name}, shown this once. Give it to the caller in a way that others cannot read:

  {token}

Paste into the configuration of the proxy, and reload it (SIGHUP). It holds only the hash of the token. While
one token replaces another, token_sha256 may be a list of both:

callers:
  {name}:
    token_sha256: {sha256(token.encode()).hexdigest()}

The caller sends one of these with each request:

  X-Proxy-Token: {token}
  Authorization: Bearer {token}

Camunda's own clients send it as the password of Basic:

  export CAMUNDA_AUTH_STRATEGY=BASIC
  export CAMUNDA_BASIC_AUTH_USERNAME={name}
  export CAMUNDA_BASIC_AUTH_PASSWORD={token}"""
