"""The store's libraries cost nothing where no store is configured, and their absence is said."""

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.app.stores import Stores
from proxy.app.tls import TlsContexts
from proxy.config.model import Store, Tls
from proxy.errors import StartError
from tests.clock import FakeClock

WITHOUT = """
import sys
import proxy.app.proxy, proxy.commands.serve, proxy.cli
names = ("valkey", "libvalkey", "cryptography", "proxy.credentials.fleet")
print([each for each in names if each in sys.modules])
"""
STORE = Store("standalone", (("h", 1),), False, 0, "", None, None, None, None, "x:", None, Tls())


def test_a_proxy_without_a_store_imports_nothing_of_it() -> None:
    command = [sys.executable, "-c", WITHOUT]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert said.stdout.strip() == "[]"


def test_a_missing_package_is_said_with_its_remedy() -> None:
    class Missing:
        """Stands before all finders, as if nothing of valkey were installed."""

        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name.partition(".")[0] == "valkey":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    held = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(FROM)}
    sys.meta_path.insert(0, Missing())
    try:
        with pytest.raises(StartError, match=r"store: the package valkey.* pip install .*\[fleet\]"):
            Stores(FakeClock(), TlsContexts()).check(STORE)
    finally:
        del sys.meta_path[0]
        sys.modules.update(held)


FROM = ("valkey", "proxy.credentials.fleet.client", "proxy.credentials.fleet.store_causes")
