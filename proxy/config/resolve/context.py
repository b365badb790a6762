"""Holds what every step of resolving needs, and reads the files and proxies that several parts may name."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from proxy.config.document import egress
from proxy.config.document.credentials import TlsDocument
from proxy.config.document.file import Document
from proxy.config.model import BaseUrl, ListenTls, SecretRef, Tls
from proxy.config.written.files import (
    MISSING,
    certificate_file_problem,
    key_file_problem,
    secret_file_oddities,
    secret_file_problem,
)
from proxy.config.written.findings import Findings, KeyPath, Written, dotted
from proxy.files import all_can_read
from proxy.net import HttpProxy
from proxy.secret_text import oddities

SECRET_FILES = {
    **{
        f"{key}_file": key
        for key in ("client_secret", "password", "sentinel_password", "token", "caller_token")
    },
    "private_key_file": "",
    "client_assertion_file": "",
    "assertion_file": "",
    "subject_token_file": "",
    "key_file": "",
}
"""Keys of files with secrets, each with the key that takes the secret itself; empty: there is no such key."""


@dataclass(frozen=True, slots=True)
class ListenHost:
    """The host that replaces that of every upstream's listener; `origin` is the variable that sets it."""

    host: str
    origin: str


@dataclass(frozen=True, slots=True)
class Context:
    """What the operator wrote, and the place for its problems.

    Attributes:
        folder: relative file names start here.
        environ: environment that `http_proxy: env` reads.
    """

    document: Document
    written: Written
    findings: Findings
    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    listen_host: ListenHost | None


def secret(
    text: str | None,
    file: str | None,
    place: KeyPath,
    context: Context,
    problem_of: Callable[[Path], str | None] = secret_file_problem,
) -> SecretRef:
    """Return the secret, or the file that holds it.

    Args:
        place: of the key that names the file.
    """
    if file is None:
        notice_oddities(text or "", (*place[:-1], SECRET_FILES[str(place[-1])]), context)
        return SecretRef(text=text)
    path = named_file(file, place, context, problem_of)
    for odd in secret_file_oddities(path):
        context.findings.notice(f"{dotted(place)}: the secret in {_shown(file, place, context)} {odd}")
    return SecretRef(file=path)


def notice_oddities(text: str, place: KeyPath, context: Context) -> None:
    """Notice what looks odd in a secret, a client id or a user name; the value is never shown."""
    variable = context.written.variable(place)
    where = f"{dotted(place)} ({variable})" if variable is not None else dotted(place)
    for odd in oddities(text):
        context.findings.notice(f"{where}: the value {odd}")


def named_file(name: str, place: KeyPath, context: Context, problem_of: Callable[[Path], str | None]) -> Path:
    """Return the absolute path of the file that is named at `place`; report what is wrong with the file."""
    path = context.folder.absolute() / name
    if (problem := problem_of(path)) is not None:
        key = _key(place)
        shown = context.written.variable(place) or str(path)
        if isinstance(context.written.origins.get(place), str):
            shown = "a file"  # the problem names the variable itself
        elif key in SECRET_FILES:
            shown = _shown(name, place, context)
            if problem == MISSING and (twin := SECRET_FILES[key]):
                problem += f"; if the value is the secret itself, write {twin} instead of {key}"
        context.findings.add(place, f"names {shown}, which {problem}")
    elif _key(place) in SECRET_FILES and all_can_read(path):
        shown = _shown(name, place, context)
        context.findings.notice(f"{dotted(place)}: every user of this machine can read {shown}; chmod 600 it")
    return path


def _key(place: KeyPath) -> str:
    """Return the key at `place`, also of an entry of its list."""
    return next(part for part in reversed(place) if isinstance(part, str))


def _shown(name: str, place: KeyPath, context: Context) -> str:
    """Return the name that messages use for a secret's file. By mistake, the name may be the secret itself.

    The value of a variable is never shown. Another name is shown only if the file exists, or if the name
    begins with a folder that exists.
    """
    variable = context.written.variable(place)
    if variable is not None:
        return variable
    folder = context.folder.absolute()
    path = folder / name
    start = Path(path.anchor) if Path(name).is_absolute() else folder
    first, *more = path.relative_to(start).parts or ("",)
    there = os.path.lexists(path) or (bool(more) and os.path.isdir(start / first))  # noqa: PTH112 -- never raises
    return str(path) if there else f"a file in {folder}"


def tls(document: TlsDocument, owner: KeyPath, context: Context) -> Tls:
    """Read the trusted CAs, the server's name and our client certificate."""

    def file(key: str, problem_of: Callable[[Path], str | None]) -> Path | None:
        name: str | None = getattr(document, key)
        return None if name is None else named_file(name, (*owner, "tls", key), context, problem_of)

    return Tls(
        ca_file=file("ca_file", certificate_file_problem),
        server_name=document.server_name,
        cert_file=file("cert_file", certificate_file_problem),
        key_file=file("key_file", key_file_problem),
    )


def listen_tls(upstream: str, context: Context) -> ListenTls | None:
    """Read the certificate of an upstream's listener; None: it is plain."""
    document = context.document.upstreams[upstream].listen_tls
    if document is None:
        return None
    owner: KeyPath = ("upstreams", upstream, "listen_tls")

    def file(key: str, name: str, problem_of: Callable[[Path], str | None]) -> Path:
        return named_file(name, (*owner, key), context, problem_of)

    authorities = document.client_ca_file
    return ListenTls(
        cert_file=file("cert_file", document.cert_file, certificate_file_problem),
        key_file=file("key_file", document.key_file, key_file_problem),
        client_ca_file=file("client_ca_file", authorities, certificate_file_problem) if authorities else None,
        client_certificate=document.client_certificate or "required",
    )


def http_proxy(
    written: HttpProxy | Literal["env"] | None, url: BaseUrl, owner: KeyPath, context: Context
) -> HttpProxy | None:
    """Return the proxy to connect through to `url`; None: connect directly."""
    if written != "env":
        return written
    try:
        return egress.from_environment(url, context.environ)
    except ValueError as error:
        place = (*owner, "http_proxy")
        message, named = str(error), context.written.origins.get(place)
        if isinstance(named, str):  # the operator wrote no `env`, but set the variable itself
            message = message.replace("is env, and ", "").replace("must be env, or", "must")
            message = message.removeprefix("HTTPS_PROXY ").removeprefix("https_proxy ")
        context.findings.add(place, message)
        return None
