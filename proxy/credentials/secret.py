"""Reads secrets from the configuration or from files, which may change at any time or be half written."""

import logging
from pathlib import Path
from typing import ClassVar, NoReturn, Protocol

from proxy.errors import CredentialUnavailable
from proxy.files import NotRegular, read_regular, signature
from proxy.secret_text import NotText, oddities, read_text

log = logging.getLogger("proxy")

SECRET_WATCH = 5.0
"""Seconds between two looks at a secret's file."""

LARGEST = 1 << 20
"""Most bytes of a file with a secret."""


class Secret(Protocol):
    """A password, a client's secret or a shared token. Two are equal if they come from the same place.

    Attributes:
        may_change: whether it has to be read again.
        interval: seconds between two looks at it.
        ends_credential: whether the last change ended the use of the credential that was got before.
    """

    may_change: ClassVar[bool]
    interval: ClassVar[float]

    @property
    def ends_credential(self) -> bool: ...

    def read(self) -> str:
        """Return the secret as it is now.

        Raises:
            CredentialUnavailable: it could never be read.
        """
        ...

    def version(self) -> int:
        """Read the secret again; return a number that grows whenever the secret has changed."""
        ...


class HiddenSecret:
    """Base of secrets, whose repr shows nothing."""

    __slots__ = ()

    interval: ClassVar[float] = SECRET_WATCH

    @property
    def ends_credential(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret must not be pickled")


class TextSecret(HiddenSecret):
    """A secret in the configuration."""

    __slots__ = ("_text",)

    may_change: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        return self._text

    def version(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextSecret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class FileSecret(HiddenSecret):
    """A secret in a file. It is read again whenever the file is replaced, written in place, or changed behind
    Kubernetes' symlinks. While the file is missing, too short or not text, the secret read last stays.

    Args:
        shortest: fewest characters of the secret.
        setting: that names the file, for the log: `credentials.saas.client_secret_file`.
    """

    __slots__ = ("_path", "_seen", "_setting", "_shortest", "_text", "_version")

    may_change: ClassVar[bool] = True

    def __init__(self, path: Path, shortest: int = 1, *, setting: str = "") -> None:
        self._setting = setting
        self._path = path
        self._shortest = shortest
        self._seen: tuple[int, ...] | None = None
        self._text: str | None = None
        self._version = 0

    def read(self) -> str:
        self._look()
        if self._text is None:
            whose = f"the file of {self._setting}" if self._setting else "a secret's file"
            raise CredentialUnavailable(f"{whose} is missing, empty or not readable as text in UTF-8")
        return self._text

    def version(self) -> int:
        self._look()
        return self._version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileSecret) and other._path == self._path

    def __hash__(self) -> int:
        return hash(self._path)

    def _look(self) -> None:
        try:
            seen = signature(self._path.stat())
            if seen == self._seen:
                return
            data, state = read_regular(self._path, LARGEST)
            self._seen = signature(state)  # of the file as read; a later write gives another signature
            text = read_text(data)
        except NotRegular:
            self._seen = seen
            return
        except NotText as error:
            self._tell(f"{error}; the secret read last stays in use")
            return
        except (OSError, ValueError):
            return
        if len(data) > LARGEST:
            return
        if len(text) < self._shortest:
            self._tell("is empty or too short; the secret read last stays in use")
        elif text != self._text:
            for odd in oddities(text):
                self._tell(f"holds a secret that {odd}")
            self._text = text
            self._version += 1

    def _tell(self, what: str) -> None:
        """Log what is odd about a file that has changed; the configuration tells it of the first one."""
        if self._version and self._setting:
            log.warning("%s: %s %s", self._setting, self._path, what)


class SecretWatch:
    """Tells whether a secret has changed since the last check.

    Attributes:
        interval, ends_credential: see `Secret`.
    """

    def __init__(self, secret: Secret) -> None:
        self.interval = secret.interval
        self.ends_credential = False
        self._secret = secret
        self._version: int | None = None

    def changed(self) -> bool:
        """Check the secret; return whether it has changed since the last check, False at the first one."""
        known, self._version = self._version, self._secret.version()
        self.ends_credential = self._secret.ends_credential
        return known is not None and known != self._version
