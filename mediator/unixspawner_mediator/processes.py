"""Finds and ends the processes of one server, as the person whose processes they are.

A process belongs to a server when it carries the server's marker in its environment, when it
is the process that the hub knows and sudo started for us, or when it descends from either.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

from .errors import Refusal
from .protocol import ProcessIdentity

MARKER = "UNIXSPAWNER_SERVER_ID"
MAX_FILE = 2**20  # a process can make its environment appear as large as it likes
MEDIATOR_WORDS = (b"/mediator", b"start")


class Process(NamedTuple):
    """One line of the process table. `start_time` in clock ticks since boot."""

    pid: int
    parent: int
    start_time: int


def own_processes() -> dict[int, Process]:
    """All processes of this uid except ourselves."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            process = _read(int(name), os.getuid())
            if process is not None:
                found[process.pid] = process
    return found


def _read(pid: int, uid: int) -> Process | None:
    try:
        if os.stat(f"/proc/{pid}").st_uid != uid:
            return None
        fields = _read_file(pid, "stat").rpartition(b")")[2].split()
    except OSError:  # it ended while we looked
        return None
    if not fields or fields[0] == b"Z":
        return None
    return Process(pid, int(fields[1]), int(fields[19]))


def _read_file(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read(MAX_FILE)


def carries_marker(pid: int, server_id: str) -> bool:
    """Whether this process was started by the server with that id, or is it."""
    with contextlib.suppress(OSError):
        return f"{MARKER}={server_id}".encode() in _read_file(pid, "environ").split(b"\0")
    return False


def started_by_sudo(process: Process) -> bool:
    """Whether the parent looks like root's sudo running our mediator.

    It still tells our process when the person overwrote its environment. Nobody can fake it for
    another account; who fakes it for himself only offers his own process up, see docs/adr/0006.
    """
    with contextlib.suppress(OSError):
        words = _read_file(process.parent, "cmdline").rstrip(b"\0").split(b"\0")
        is_ours = words[-1] == MEDIATOR_WORDS[1] and words[-2].endswith(MEDIATOR_WORDS[0])
        return is_ours and os.stat(f"/proc/{process.parent}").st_uid == 0
    return False


def find_tree(
    server_id: str, leader: ProcessIdentity, ours: set[tuple[int, int]]
) -> dict[int, Process]:
    """Every process of the server, found afresh.

    `ours` are pids and start times seen before: a process that is ending has no environment left.

    Raises:
        Refusal: the leader's process exists and is not one that we started.
    """
    table = own_processes()
    members = {pid for pid in table if carries_marker(pid, server_id)}
    known = table.get(leader.pid)
    if known is not None and known.start_time == leader.start_time and known.pid not in members:
        if (known.pid, known.start_time) not in ours and not started_by_sudo(known):
            raise Refusal("not-ours", "That process was not started by this service.")
        members.add(known.pid)
    return {pid: table[pid] for pid in _with_descendants(table, members)}


def _with_descendants(table: dict[int, Process], members: set[int]) -> set[int]:
    members = set(members)
    found = members
    while found:
        found = {p.pid for p in table.values() if p.parent in members} - members
        members |= found
    return members


def require_own(leader: ProcessIdentity) -> None:
    """Refuse to be asked for anybody else's process."""
    try:
        status = os.stat(f"/proc/{leader.pid}")
    except OSError:
        return
    if status.st_uid != os.getuid():
        raise Refusal("not-yours", "That process belongs to another account.")


def end_tree(server_id: str, leader: ProcessIdentity, patience: float) -> int:
    """End every process of the server: TERM, and KILL for what is left after `patience` seconds.

    Looks again until nothing is found, since a process may have forked meanwhile. Returns how
    many processes were signalled.
    """
    signalled: set[tuple[int, int]] = set()
    deadline = time.monotonic() + patience
    hard_deadline = deadline + 5
    while tree := find_tree(server_id, leader, signalled):
        number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        # a TERM is sent once; repeating it would cut short an orderly end
        fresh = [p for p in tree.values() if (p.pid, p.start_time) not in signalled]
        targets = fresh if number == signal.SIGTERM else list(tree.values())
        with _handles(list(tree.values())) as handles:
            for process in targets:
                if process.pid in handles:
                    signal.pidfd_send_signal(handles[process.pid], number)
                    signalled.add((process.pid, process.start_time))
            _wait_for_one(list(handles.values()), max(0.02, deadline - time.monotonic()))
        if time.monotonic() > hard_deadline:
            break  # in an uninterruptible wait, such as a mount that hangs
    return len(signalled)


@contextlib.contextmanager
def _handles(processes: list[Process]) -> Iterator[dict[int, int]]:
    """pidfds of the processes that are still the ones we saw."""
    handles: dict[int, int] = {}
    try:
        for process in processes:
            with contextlib.suppress(OSError):
                handles[process.pid] = os.pidfd_open(process.pid)
                if _read(process.pid, os.getuid()) != process:
                    os.close(handles.pop(process.pid))
        yield handles
    finally:
        for handle in handles.values():
            os.close(handle)


def _wait_for_one(handles: list[int], seconds: float) -> None:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    if handles:
        poll.poll(min(seconds, 1.0) * 1000)
