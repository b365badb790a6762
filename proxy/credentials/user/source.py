"""Gets access tokens for a person with the stored refresh token (RFC 6749 section 6).

An identity provider that rotates refresh tokens ends the session if one is used twice, and so does it if its
answer got lost and the proxy has to send the old one again. Therefore

- one refresh at a time, over all processes (`LoginStore.locked`);
- before a refresh token is sent, a mark is stored, so that a lost answer is known afterwards;
- a new refresh token is stored before the new access token is used;
- a refresh that was sent is not cancelled, but its answer is awaited for `FINISH` seconds.
"""

import asyncio
import logging
from dataclasses import replace
from typing import ClassVar, NoReturn, Protocol

from proxy.clock import Clock, date_of
from proxy.credentials.credential import Credential
from proxy.credentials.outbound import Outbound
from proxy.credentials.reply import Reply
from proxy.credentials.secret import HiddenSecret
from proxy.credentials.standing import FileEnd
from proxy.credentials.token_answer import ENDPOINT, parse_token_answer
from proxy.credentials.user.answer import Granted, error_of, granted
from proxy.credentials.user.logins import LoginStore, StoredLogin
from proxy.credentials.user.settings import UserSettings, form_request
from proxy.errors import CredentialUnavailable, LoginNeeded
from proxy.files import signature
from proxy.masking import masked
from proxy.outgoing.answer_causes import Asked
from proxy.outgoing.causes import cleaned

log = logging.getLogger("proxy")

REQUEST_TIMEOUT = 408

FINISH = 5.0
"""Seconds for an answer that is under way when the proxy stops or its configuration changes."""


class TokenUrl(Protocol):
    """Finds the token endpoint."""

    async def token_url(self) -> str:
        """Return its URL.

        Raises:
            CredentialUnavailable: the issuer does not answer, or its answer cannot be used.
        """
        ...

    def forget(self) -> None:
        """Ask the issuer again next time."""
        ...


class UserSource:
    """Gets access tokens for the person who has logged in.

    Args:
        endpoints: finds the token endpoint; None: it is configured.
        outbound: the HTTP client for token endpoint and issuer; not closed here.
        finish: seconds, see FINISH.

    Attributes:
        login: to be watched by the keeper.
    """

    def __init__(
        self,
        settings: UserSettings,
        store: LoginStore,
        outbound: Outbound,
        clock: Clock,
        *,
        endpoints: TokenUrl | None = None,
        finish: float = FINISH,
    ) -> None:
        self._settings = settings
        self._store = store
        self._outbound = outbound
        self._clock = clock
        self._endpoints = endpoints
        self._wall = store.wall
        self._finish = finish
        self._holding = False
        self._unstored: tuple[StoredLogin, str] | None = None
        proof = "client_secret" if settings.secret is not None else "auth_method"
        section = f"credentials.{settings.name}"
        self._asked = Asked(settings.scope, settings.audience, f"{section}.{proof}", "refresh_token")
        self.login = LoginWatch(store, settings)

    async def fetch(self) -> Credential:
        """Get an access token, as `CredentialSource.fetch` says.

        Raises:
            LoginNeeded: no person is logged in, or the login has ended. Nothing was sent then.
        """
        self._usable_login()
        url = await self._endpoints.token_url() if self._endpoints is not None else self._settings.token_url
        try:
            return await self._finished(url or "")
        except CredentialUnavailable as error:
            if self._endpoints is not None and error.outcome != "limited":  # the endpoint may have moved
                self._endpoints.forget()
            raise

    async def _finished(self, url: str) -> Credential:
        """Refresh. If this is cancelled meanwhile, wait for the answer, and store its refresh token."""
        refresh = asyncio.ensure_future(self._refreshed(url))  # noqa: TID251 -- it ends in here
        try:
            return await asyncio.shield(refresh)
        finally:
            if not refresh.done() and self._holding:
                await asyncio.wait([refresh], timeout=self._finish)
            if not refresh.done():
                refresh.cancel()
                await asyncio.wait([refresh])
            if not refresh.cancelled():
                refresh.exception()  # or asyncio would log that it was never retrieved

    async def _refreshed(self, url: str) -> Credential:
        async with self._store.locked(self._settings.timeout):
            self._holding = True
            try:
                fetched_at, answer = await self._sent(url)
            finally:
                self._holding = False
        secrets = (
            self.login.token,
            *(value for _, value in self._settings.parameters),
            *self._client_secret(),
        )
        peer = self._outbound.peer(ENDPOINT, url)
        return parse_token_answer(answer, fetched_at, self._wall(), peer, self._asked, secrets)

    async def _sent(self, url: str) -> tuple[float, Reply]:
        """Send the refresh token, and store what the answer says of the login.

        Returns:
            When the request was sent, in seconds on the Clock, and the answer.
        """
        login = self._usable_login()
        token = await self._newest(login)
        self.login.token = token
        fields = {"grant_type": "refresh_token", "refresh_token": token}
        named = {"audience": self._settings.audience, "resource": self._settings.resource}
        fields |= {name: value for name, value in named.items() if value is not None}
        request = form_request(self._settings, fields)
        marked = await self._store.write(replace(login, sent_at=self._wall()))
        fetched_at = self._clock.now()
        try:
            answer = await self._outbound.send(
                "POST",
                url,
                to=ENDPOINT,
                headers=request.headers,
                body=request.body,
                timeout=self._settings.timeout,
            )
        except CredentialUnavailable as error:
            if error.unsent:
                await self._store.write(login)
            raise
        await self._learn(answer, login, marked, url)
        return fetched_at, answer

    def _client_secret(self) -> tuple[str, ...]:
        return () if self._settings.secret is None else (self._settings.secret.read(),)

    def _usable_login(self) -> StoredLogin:
        """Return the stored login.

        Raises:
            LoginNeeded: there is none, or it has ended.
        """
        login = self._store.look()
        section, command = f"credentials.{self._settings.name}", self._settings.command
        if login is None:
            raise LoginNeeded(f"no person is logged in for {section}; log in: {command}", command)
        if login.ended_at is not None:
            detail = f"the login of {section} has ended; log in again: {command}"
            message = f"the login of {section} has ended: {login.ended}. Log in again: {command}"
            raise LoginNeeded(message, command, detail=detail)
        return login

    async def _newest(self, login: StoredLogin) -> str:
        """Return the refresh token to send: the stored one, or a newer one that could not be stored."""
        if self._unstored is not None:
            marked, token = self._unstored
            if (marked.login_id, marked.sent_at) == (login.login_id, login.sent_at):
                return token
            self._unstored = None  # another process or another login has gone on
        return await self._store.refresh_token(login)

    async def _learn(self, answer: Reply, login: StoredLogin, marked: StoredLogin, url: str) -> None:
        """Store what an answer says of the login.

        Args:
            login: before this refresh.
            marked: as it is stored now.

        Raises:
            LoginNeeded: the identity provider has ended the login.
        """
        found = granted(answer, self._wall())
        if found is not None:
            await self._store_granted(found, login, marked)
            return
        error, description = error_of(answer)
        if error == "invalid_grant":
            await self._end(login, description, url)
        elif 300 <= answer.status < 500 and answer.status != REQUEST_TIMEOUT:
            await self._store.write(login)  # refused, so the refresh token was not used
        # Any other answer may be that of a gateway before a token endpoint that has used the refresh token.

    async def _store_granted(self, found: Granted, login: StoredLogin, marked: StoredLogin) -> None:
        now = self._wall()
        new = replace(login.refreshed(now, found.ends_at), sent_at=None)
        try:
            stored = await self._store.write(new, found.refresh_token or None)
        except CredentialUnavailable as error:
            # The old one may be worthless by now, so this is the only one that is left.
            self._unstored = (marked, found.refresh_token) if found.refresh_token else None
            log.error(  # noqa: TRY400 -- the traceback tells nothing more
                "%s. The new refresh token is in the memory of this process only; if it ends before the token"
                " could be stored, log in again: %s",
                error,
                self._settings.command,
            )
            return
        self._unstored = None
        self.login.token = found.refresh_token or self.login.token
        if stored.kept_in != login.kept_in:
            log.warning(
                "credentials.%s: the keyring could not be used; the refresh token is now in a file that only"
                " this user can read, in %s",
                self._settings.name,
                self._store.path.parent,
            )

    async def _end(self, login: StoredLogin, description: str, url: str) -> NoReturn:
        said = cleaned(masked(description, (self.login.token, *self._client_secret())))
        why = f"{self._outbound.peer(ENDPOINT, url)} refused the refresh token (invalid_grant"
        why += f": {said})" if said else ")"
        if login.sent_at is not None:
            why = (
                f"the answer to the refresh at {date_of(login.sent_at)} was lost, so the refresh token had to"
                f" be sent again, and {why}"
            )
        await self._store.end(replace(login, sent_at=None, ended_at=self._wall(), ended=why))
        self._usable_login()
        raise AssertionError("an ended login is not usable")


class LoginWatch(HiddenSecret):
    """The stored login, as the secret that a keeper watches: it changes with a login or logout anywhere.

    A refresh by another process is no change. The client's secret is watched with it, if there is one.

    Attributes:
        token: the refresh token that this process has sent last, for the masks of the log; empty: none.
    """

    __slots__ = ("_ended", "_login", "_seen", "_settings", "_store", "_version", "token")

    may_change: ClassVar[bool] = True
    interval: ClassVar[float] = 1.5

    def __init__(self, store: LoginStore, settings: UserSettings) -> None:
        self.token = ""
        self._store = store
        self._settings = settings
        self._ended = False
        self._login: StoredLogin | None = None
        self._seen: tuple[int, ...] | None = None
        self._version = 0

    def read(self) -> str:
        if not self.token:
            raise CredentialUnavailable("no refresh token was sent yet")
        return self.token

    def version(self) -> int:
        before = self._version
        self._look()
        self._ended = self._version != before
        return self._version + (self._settings.secret.version() if self._settings.secret is not None else 0)

    @property
    def ends_credential(self) -> bool:
        """Whether another person may be logged in since the last look, or none."""
        return self._ended

    def end(self, now: float) -> FileEnd | None:
        """Return when the login expires; None: not known, or each refresh puts it off.

        Args:
            now: seconds on the Clock.
        """
        self._look()
        login = self._login
        if login is None or login.ends_at is None or not login.ends_fixed:
            return None
        ends_at = now + login.ends_at - self._store.wall()
        life = login.ends_at - login.logged_in_at
        return FileEnd(f"credentials.{self._settings.name}", ends_at, life, self._settings.command)

    def _look(self) -> None:
        """Read the stored login if it has changed. One that cannot be used is reported by the next fetch."""
        try:
            seen = signature(self._store.path.stat())
        except FileNotFoundError:
            seen = None
        except OSError:
            return
        if seen == self._seen:
            return
        before = self._login
        try:
            self._login = self._store.look()
        except CredentialUnavailable:
            return
        self._seen = seen
        if _id(before) != _id(self._login):
            self._version += 1


def _id(login: StoredLogin | None) -> str:
    return "" if login is None else login.login_id
