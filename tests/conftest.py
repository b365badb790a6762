"""What holds for all tests."""

import os

from hypothesis import settings

# On a busy machine one example may be slow, and that is no fault; where a change lands or not, the same
# examples are tried for everybody.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
