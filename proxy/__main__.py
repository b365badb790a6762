"""`python -m proxy` and `camunda-auth-proxy`.

`health` is looked at before anything heavy is imported.
"""

import sys


def main() -> int:
    """Run the command line; the exit code."""
    if sys.argv[1:2] == ["health"]:
        from proxy.commands.probe import health

        return health(sys.argv[2:])
    from proxy.cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
