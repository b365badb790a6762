"""Reads the token that another issuer writes into a file, and replaces from time to time.

Kubernetes writes a service account's token (a projected volume), SPIFFE Helper a JWT-SVID. The proxy sends it
as client assertion, as assertion of a grant, or as subject token.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from re import compile as pattern
from typing import ClassVar, NamedTuple

from proxy.clock import wall_time
from proxy.credentials.secret import LARGEST, HiddenSecret, Secret
from proxy.credentials.standing import FileEnd, duration
from proxy.credentials.token_answer import claims_of, time_claim
from proxy.errors import CredentialUnavailable
from proxy.files import NotRegular, read_regular, signature
from proxy.secret_text import NotText, is_jwt, read_text

log = logging.getLogger("proxy")

USUAL_LIFE = 3600.0
"""Assumed lifetime in seconds of a JWT without `iat`, to know when to warn of its end."""

_VISIBLE = pattern(r"[\x21-\x7e]+")


class _Read(NamedTuple):
    """What the file held. Seconds are since 1970; None: the token does not say."""

    text: str
    issued: float | None
    expires: float | None

    def __repr__(self) -> str:
        return "_Read(***)"


class TokenFile(HiddenSecret):
    """A token in a file, read anew for each attempt. Two are equal if they name the same file.

    While the file is missing, half written or no file, the token read last stays in use until it expires.

    Attributes:
        setting: that names the file, for messages: `credentials.keycloak.client_assertion_file`.

    Args:
        only_jwt: whether any other text than a JWT is refused. An access token of RFC 8693 may be opaque.
        wall: returns seconds since 1970.
    """

    __slots__ = (
        "_failed",
        "_only_jwt",
        "_path",
        "_problem",
        "_read",
        "_seen",
        "_version",
        "_wall",
        "setting",
    )

    may_change: ClassVar[bool] = True

    def __init__(
        self, path: Path, setting: str, *, only_jwt: bool = True, wall: Callable[[], float] = wall_time
    ) -> None:
        self._path = path
        self.setting = setting
        self._only_jwt = only_jwt
        self._wall = wall
        self._read: _Read | None = None
        self._problem = ""
        self._seen: tuple[int, ...] | None = None
        self._failed: str | None = None
        self._version = 0

    def read(self) -> str:
        """Return the token as the file had it last, to mask it. `take` returns the one to send."""
        self._look()
        if self._read is None:
            raise _unusable(f"the file of {self.setting} {self._problem}")
        return self._read.text

    def take(self) -> str:
        """Return the token to send now.

        Raises:
            CredentialUnavailable: the file has none, or only one that has expired.
        """
        self._seen = None
        self._look()
        found, problem = self._read, self._problem
        if found is None:
            self._failed = ""
            raise _unusable(f"the file of {self.setting} {problem}")
        if found.expires is not None and found.expires <= self._wall():
            self._failed = found.text
            ago = f"{duration(self._wall() - found.expires)} ago"
            why = f"its file {problem} now" if problem else "no new one was written"
            raise _unusable(
                f"the token in {self.setting} expired {ago}, and {why}; it was not sent. Check what writes"
                " that file, and the clock of this machine"
            )
        if found.text != self._failed:
            self._failed = None
        return found.text

    def failed(self, text: str) -> None:
        """Record that this token was refused, so that another one in the file is tried at once."""
        self._failed = text

    def version(self) -> int:
        """Return a number that grows when the file has another token than the one that failed.

        A token that is replaced in time changes nothing: the next attempt reads it, and an attempt that is
        under way may go on with the one before.
        """
        if self._failed is not None:
            self._look()
            if self._read is not None and self._read.text != self._failed:
                self._failed = None
                self._version += 1
        return self._version

    def end(self, now: float) -> FileEnd | None:
        """Return when the token in the file expires; None: it does not say, or there is none.

        Args:
            now: seconds on the Clock.
        """
        self._look()
        if self._read is None or self._read.expires is None:
            return None
        issued, expires = self._read.issued, self._read.expires
        life = expires - issued if issued is not None and issued < expires else USUAL_LIFE
        return FileEnd(self.setting, now + expires - self._wall(), life)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenFile) and other._path == self._path

    def __hash__(self) -> int:
        return hash(self._path)

    def _look(self) -> None:
        """Read the file if it has changed. If it cannot be used, keep what was read last, and say so once."""
        before = self._problem
        try:
            if self._seen == (seen := signature(self._path.stat())):
                return
            self._problem, self._seen = "", seen
            data, state = read_regular(self._path, LARGEST)
            self._seen = signature(state)  # of the file as read; a later write gives another signature
            self._parse(data)
        except (FileNotFoundError, NotADirectoryError):
            self._problem, self._seen = "does not exist", None
        except PermissionError:
            self._problem = "cannot be read: permission denied"
        except NotRegular:
            self._problem = "is no regular file but a directory, a pipe or a device"
        except NotText as error:
            self._problem = str(error)
        except (OSError, ValueError):
            self._problem = "cannot be read"
        if self._problem and self._problem != before and self._read is not None:
            log.warning("%s: its file %s; the token read last stays in use", self.setting, self._problem)

    def _parse(self, data: bytes) -> None:
        text = read_text(data).strip()
        if self._read is not None and text == self._read.text:
            return
        if not text:
            self._problem = "is empty"
        elif len(data) > LARGEST:
            self._problem = "is larger than 1MiB"
        elif not _VISIBLE.fullmatch(text):
            self._problem = "holds more than one token: it has spaces or line ends in it"
        elif self._only_jwt and not (is_jwt(text) and claims_of(text)):
            self._problem = "holds no JWT that is whole"
        else:
            claims = claims_of(text)
            self._read = _Read(text, time_claim(claims, "iat"), time_claim(claims, "exp"))


class BothSecrets(HiddenSecret):
    """Two secrets that are watched together, as one secret of a Keeper; `read` returns the first one."""

    __slots__ = ("_one", "_other")

    may_change: ClassVar[bool] = True

    def __init__(self, one: Secret, other: Secret) -> None:
        self._one = one
        self._other = other

    def read(self) -> str:
        return self._one.read()

    def version(self) -> int:
        return self._one.version() + self._other.version()


def _unusable(message: str) -> CredentialUnavailable:
    return CredentialUnavailable(message, outcome="invalid")
