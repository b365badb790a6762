"""Defines the commands and their exit codes. Heavy imports stay inside the commands that need them."""

import os
import sys
from contextlib import suppress

import click

from proxy.cli import asking, configuration, helping, person, running
from proxy.cli.group import DONE, FAILED, INTERRUPTED, MUST_CHANGE, cli
from proxy.errors import ConfigError, StartError

__all__ = ["asking", "cli", "configuration", "helping", "person", "run", "running"]

COMPLETE = "_CAMUNDA_AUTH_PROXY_COMPLETE"
"""Set by the script of `completion` when the user presses the tab key."""


def _discard_output() -> None:
    """Point stdout at /dev/null, because at exit Python would write the rest again, and print an error."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run() -> int:
    """Run the command line; return the exit code."""
    if os.environ.get(COMPLETE, "").startswith("powershell"):
        from proxy.commands.completion import register

        register()
    try:
        result = cli.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, so that a full disk is reported without a traceback
    except click.ClickException as error:
        error.show()
        return MUST_CHANGE
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ConfigError as error:
        count = len(error.problems)
        click.echo(f"The configuration has {count} problem{'s' if count > 1 else ''}:", err=True)
        for problem in error.problems:
            click.echo(f"  {problem}", err=True)
        return MUST_CHANGE
    except StartError as error:
        click.echo(str(error), err=True)
        return MUST_CHANGE
    except BrokenPipeError:
        _discard_output()
        return FAILED
    except OSError as error:  # a full disk, a working directory that is gone
        _discard_output()
        reason = error.strerror or "it gave no reason"
        click.echo(f"The system refused what this command needs: {reason}.", err=True)
        return MUST_CHANGE
    except Exception as error:  # noqa: BLE001 -- no traceback for users, see `fault`
        from proxy.commands.fault import tell

        tell(error)
        return MUST_CHANGE
    return result if isinstance(result, int) else DONE
