"""Reads the first configuration in a child process, so that the memory for it ends with the child.

Reading needs pydantic and YAML, which take 13 MiB that the running proxy does not need. Meanwhile the parent
imports the rest of the proxy. A reload reads in the proxy itself, which then takes these 13 MiB too.
"""

import copyreg
import gc
import os
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.config.model import Config


def dump_no_core() -> None:
    """Disable core dumps, because one would hold every token and secret. Debuggers can still attach."""
    if sys.platform != "win32":
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def begin_reading(read: "Callable[[], Config]") -> "Callable[[], Config]":
    """Begin to read the configuration in a child; return a function that waits for it, and returns it.

    The function raises what `read` raises. It calls `read` in this process if the child ends without a
    result, and always where a fork is not safe: on other systems than Linux, and if there are threads.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return read
    receiver, sender = os.pipe()
    try:
        child = os.fork()
    except OSError:  # the limit of processes is reached
        os.close(receiver)
        os.close(sender)
        return read
    if not child:
        _be_the_child(read, sender)
    os.close(sender)

    def result() -> "Config":
        with os.fdopen(receiver, "rb") as pipe:
            told = pipe.read()
        try:
            _, status = os.waitpid(child, 0)
        except ChildProcessError:  # SIGCHLD is ignored, as the starting process left it
            status = 0 if told else 1
        if status:
            return read()
        found: Config | ConfigError = pickle.loads(told)  # noqa: S301 -- of our own child
        if isinstance(found, ConfigError):
            raise found
        return found

    return result


def _be_the_child(read: "Callable[[], Config]", sender: int) -> NoReturn:
    status = 1
    try:
        gc.disable()
        copyreg.pickle(MappingProxyType, _reduced)
        found: Config | ConfigError
        try:
            found = read()
        except ConfigError as error:
            found = error
        told = pickle.dumps(found)
        with os.fdopen(sender, "wb") as pipe:
            pipe.write(told)
        status = 0
    finally:
        os._exit(status)


def _reduced(
    mapping: "MappingProxyType[Any, Any]",
) -> "tuple[Callable[..., MappingProxyType[Any, Any]], Any]":
    """Tell pickle how to store a mapping proxy, whose own class it cannot find by its name."""
    return _read_only, (dict(mapping),)


def _read_only(values: dict[Any, Any]) -> "MappingProxyType[Any, Any]":
    return MappingProxyType(values)
