"""How many examples hypothesis tries."""

import os


def some(number: int) -> int:
    """So many where `CI` is set; else, a quarter of them, so that the quick suite stays quick."""
    return number if os.environ.get("CI") else max(number // 4, 10)
