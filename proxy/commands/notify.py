"""Tells systemd the state of the service, by datagrams to the socket that NOTIFY_SOCKET names (sd_notify(3)).

Without that variable nothing is sent. podman sets it too, with `--sdnotify=container`.
"""

import os
import socket
from contextlib import suppress

from proxy.clock import monotonic_micros


def ready() -> None:
    """Tell that the ports are bound, or that a reload has ended."""
    _tell("READY=1")


def reloading() -> None:
    """Tell that a reload begins, with a time that systemd 253 and later (`Type=notify-reload`) compare with
    the time of their signal."""
    _tell(f"RELOADING=1\nMONOTONIC_USEC={monotonic_micros()}")


def stopping() -> None:
    _tell("STOPPING=1")


def _tell(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return  # none, or of the kind that systemd gives only to virtual machines
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace of unix(7)
    # The receiver may be gone. That must not stop us from serving requests.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_systemd:
        to_systemd.sendto(state.encode(), address)
