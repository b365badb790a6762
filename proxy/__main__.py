"""Entry point of `python -m proxy` and `camunda-auth-proxy`.

`health` runs without the heavy imports of the other commands.
"""

import sys
from io import TextIOWrapper


def main() -> int:
    """Run the command line; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file's name may hold characters that the terminal lacks
            stream.reconfigure(errors="backslashreplace")
    if sys.argv[1:2] == ["health"] and not {"-h", "--help"} & {*sys.argv}:
        return _health()
    from proxy.cli import run

    return run()


def _health() -> int:
    from proxy.commands.probe import health

    try:
        return health(sys.argv[2:])
    except Exception as error:  # noqa: BLE001 -- no traceback for users, see `fault`
        from proxy.commands.fault import tell

        tell(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
