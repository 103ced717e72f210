"""Finds and ends the processes of one server, as the person whose processes they are.

A process belongs to a server when it carries the server's marker in its environment, when it
is the process that the hub knows and sudo started for us, or when it descends from either.
"""

import contextlib
import os
import select
import signal
import time
from typing import NamedTuple

from .errors import Refusal
from .protocol import ProcessIdentity

MARKER = "UNIXSPAWNER_SERVER_ID"
MAX_FILE = 2**20  # a process can make its environment appear as large as it likes
MEDIATOR_WORDS = (b"/mediator", b"start")
KILLING = 5.0  # seconds that we go on killing
FREEZE = 2.0  # seconds for stopping what forks
WATCHED = 64
LOOKS = 50


class Process(NamedTuple):
    """One line of the process table. `start_time` in clock ticks since boot."""

    pid: int
    parent: int
    start_time: int
    uid: int

    @property
    def key(self) -> tuple[int, int]:
        return self.pid, self.start_time


def own_processes(ended: set[int]) -> dict[int, Process]:
    """All processes of this uid except ourselves. Adds to `ended` who did so while we looked."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            process = _read(int(name))
            if process is None:
                ended.add(int(name))
            elif process.uid == os.getuid():
                found[process.pid] = process
    return found


def _read(pid: int) -> Process | None:
    """None when it has ended."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        fields = _read_file(pid, "stat").rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[0] == b"Z":
        return None
    return Process(pid, int(fields[1]), int(fields[19]), uid)


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
        is_ours = words[-1:] == [MEDIATOR_WORDS[1]] and words[-2:-1] != []
        is_ours = is_ours and words[-2].endswith(MEDIATOR_WORDS[0])
        return is_ours and os.stat(f"/proc/{process.parent}").st_uid == 0
    return False


def find_tree(server_id: str, leader: ProcessIdentity, ours: set[tuple[int, int]]) -> set[Process]:
    """Every process of the server, found afresh.

    `ours` are pids and start times seen before: a process that is ending has no environment left,
    and one that descended from the server may have lost its parents meanwhile.
    While processes end, one of them may have left a child that is not in the list that we read.

    Raises:
        Refusal: the leader's process exists and is not one that we started.
    """
    ended: set[int] = set()
    for _ in range(LOOKS):
        before = len(ended)
        tree = _find_once(server_id, leader, ours, own_processes(ended))
        if tree or len(ended) == before:
            break
    return tree


def _find_once(
    server_id: str,
    leader: ProcessIdentity,
    ours: set[tuple[int, int]],
    table: dict[int, Process],
) -> set[Process]:
    members = {p.pid for p in table.values() if p.key in ours or carries_marker(p.pid, server_id)}
    known = table.get(leader.pid)
    if known is not None and known.start_time == leader.start_time and known.pid not in members:
        if not started_by_sudo(known):
            raise Refusal("not-ours", "That process was not started by this service.")
        members.add(known.pid)
    return {table[pid] for pid in _with_descendants(table, members)}


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


def end_tree(server_id: str, leader: ProcessIdentity, patience: float) -> tuple[int, int]:
    """End every process of the server: TERM, and KILL for what is left after `patience` seconds.

    Looks again until nothing is found, since a process may have forked meanwhile. Returns how many
    processes were signalled, and how many are still there: those in an uninterruptible wait, such
    as for a mount that hangs.
    """
    signalled: set[tuple[int, int]] = set()
    deadline = time.monotonic() + patience
    while tree := find_tree(server_id, leader, signalled):
        now = time.monotonic()
        if now > deadline + KILLING:
            break
        if now < deadline:
            # a TERM is sent once; repeating it would cut short an orderly end
            _send(signal.SIGTERM, {p for p in tree if p.key not in signalled}, signalled)
        else:
            _freeze(server_id, leader, signalled)
            _send(signal.SIGKILL, find_tree(server_id, leader, signalled), signalled)
        _wait_for_one(tree, max(0.02, min(1.0, deadline - now)))
    return len(signalled), len(tree)


def _freeze(server_id: str, leader: ProcessIdentity, signalled: set[tuple[int, int]]) -> None:
    """Stop all of them, so that nobody forks faster than we look."""
    stopped: set[Process] = set()
    until = time.monotonic() + FREEZE
    while time.monotonic() < until:
        fresh = find_tree(server_id, leader, signalled) - stopped
        if not fresh:
            return
        _send(signal.SIGSTOP, fresh, signalled)
        stopped |= fresh


def _send(number: int, processes: set[Process], signalled: set[tuple[int, int]]) -> None:
    """Through a handle, to those that are still the ones we saw."""
    for process in processes:
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(process.pid)
            now = _read(process.pid)
            if now is not None and (now.key, now.uid) == (process.key, process.uid):
                with contextlib.suppress(OSError):  # it has just ended
                    signal.pidfd_send_signal(handle, number)
                signalled.add(process.key)
            os.close(handle)


def _wait_for_one(processes: set[Process], seconds: float) -> None:
    """Until one of them has ended; of very many only some are watched."""
    poll, handles = select.poll(), []
    for process in list(processes)[:WATCHED]:
        with contextlib.suppress(OSError):
            handles.append(os.pidfd_open(process.pid))
            poll.register(handles[-1], select.POLLIN)
    poll.poll(seconds * 1000)
    for handle in handles:
        os.close(handle)
