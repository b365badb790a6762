"""TLS contexts: whom to trust, and as whom to come."""

import ssl

from proxy.config.model import Tls
from proxy.errors import StartError


class Trust:
    """TLS contexts; the system's CAs are read once, and only if somebody needs them."""

    def __init__(self) -> None:
        self._system: ssl.SSLContext | None = None

    def context(self, tls: Tls, setting: str) -> ssl.SSLContext:
        """Raises StartError where the CA file is none."""
        if tls.ca_file is None:
            if self._system is None:
                self._system = ssl.create_default_context()
            return self._system
        try:
            return ssl.create_default_context(cafile=str(tls.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise StartError(
                f"{setting}.tls.ca_file: {tls.ca_file} holds no certificates in PEM form; name another file."
            ) from error
