"""Ends what this server has started, when nobody else can do it any more.

Run as the person signed in. Normally the hub has it done through sudo. Once the account has been
removed, its processes have a number without a name, and some sudo cannot act for that; nor can
anybody but their own account read the mark in their environment.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from .settings import MARKER

PATIENCE = 2.0  # seconds between TERM and KILL
MAX_ENVIRONMENT = 2**20


def end_marked(server_id: str, patience: float = PATIENCE) -> int:
    """Ends every process but this one that carries the mark; returns how many there were.

    Looks again until there is none, since a process may have started another one meanwhile.
    """
    if not server_id:
        return 0
    ended: set[int] = set()
    deadline = time.monotonic() + patience
    while handles := _handles(server_id):
        late = time.monotonic() >= deadline
        for pid, handle in handles.items():
            if late or pid not in ended:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL if late else signal.SIGTERM)
                ended.add(pid)
        _wait_for_one(handles)
        for handle in handles.values():
            os.close(handle)
        if time.monotonic() >= deadline + patience:
            break  # in an uninterruptible wait, such as a mount that hangs
    return len(ended)


def _wait_for_one(handles: dict[int, int]) -> None:
    poll = select.poll()
    for handle in handles.values():
        poll.register(handle, select.POLLIN)
    poll.poll(100)


def _handles(server_id: str) -> dict[int, int]:
    """By number, a pidfd of each: what is looked at afterwards is that very process."""
    handles: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                handle = os.pidfd_open(int(name))
                if _is_marked(name, server_id):
                    handles[int(name)] = handle
                else:
                    os.close(handle)
    return handles


def _is_marked(pid: str, server_id: str) -> bool:
    with contextlib.suppress(OSError):
        if os.stat(f"/proc/{pid}").st_uid != os.getuid():
            return False
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"{MARKER}={server_id}".encode() in file.read(MAX_ENVIRONMENT).split(b"\0")
    return False
