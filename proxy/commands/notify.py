"""Tells systemd how far the service is: datagrams to the socket that NOTIFY_SOCKET names (sd_notify(3)).

Where nothing asks for that, nothing is told; podman's `--sdnotify=container` asks, too.
"""

import os
import socket
from contextlib import suppress

from proxy.clock import monotonic_micros


def ready() -> None:
    """Ports are bound, or a reload is over."""
    _tell("READY=1")


def reloading() -> None:
    """A reload begins; systemd 253 and later (`Type=notify-reload`) wait for a moment after their signal."""
    _tell(f"RELOADING=1\nMONOTONIC_USEC={monotonic_micros()}")


def stopping() -> None:
    _tell("STOPPING=1")


def _tell(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return  # none, or of a kind that only virtual machines are given
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace of unix(7)
    # Whoever asked may be gone: requests matter more.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_systemd:
        to_systemd.sendto(state.encode(), address)
