"""What holds for all tests."""

import os

import pytest
from hypothesis import settings

from tests.examples import some

# On a busy machine one example may be slow, and that is no fault. In CI more examples are tried (see
# tests/examples.py), and the same ones for every change.
settings.register_profile("here", deadline=None, max_examples=some(100))
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of an `xdist_group` in one process.

    xdist 3.8 writes the group into `_nodeid`, which pytest 9.2 does not read: each process then made a run of
    all HTTP cases of its own.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        group = item.get_closest_marker("xdist_group")
        if group is not None and not item.nodeid.endswith(f"@{group.args[0]}") and hasattr(item, "_id"):
            item._id = type(item._id).parse(f"{item.nodeid}@{group.args[0]}")
