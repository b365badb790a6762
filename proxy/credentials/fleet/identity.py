"""What a credential is named and sealed by: its client, secret, audience and so on, as they are now."""

from collections.abc import Callable
from dataclasses import dataclass

from proxy.credentials.fleet.key import Facts
from proxy.credentials.secret import Secret


@dataclass(frozen=True, slots=True)
class Identity:
    """What a credential's name and seal are made from.

    Attributes:
        facts: all that does not change, without `proof`.
        proof: the client's secret, key or certificate; None: it has none.
        key: the secret to derive the sealing key from.
    """

    facts: Callable[[str], Facts]
    proof: Secret | None
    key: Secret

    def read(self) -> tuple[str, str]:
        """Return proof and key as they are now.

        Raises:
            CredentialUnavailable: one of them could never be read.
        """
        return self.proof.read() if self.proof is not None else "", self.key.read()
