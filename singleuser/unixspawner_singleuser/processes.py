"""The processes of applications: which belong to one, and how they end.

Run as the person signed in. A process belongs to an application when it carries the mark of that
start in its environment, when it is in a session of a process that does, or when it descends from
either. As this server adopts what its applications leave without a parent, nothing slips out of
the last of these, and nothing stays behind as a zombie.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

MARKER = "UNIXSPAWNER_APPLICATION"
PATIENCE = 5.0  # seconds between TERM and KILL
GIVE_UP = 5.0  # seconds after KILL: what is still there waits for a disk that does not answer
_MAX_FILE = 2**20
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table. `start_time` in clock ticks since boot."""

    pid: int
    start_time: int
    # Who has lost a parent is still the same process.
    parent: int = field(compare=False)
    session: int = field(compare=False)
    ended: bool = field(compare=False)


def adopt_orphans(wanted: bool = True) -> None:
    """Whether processes whose parents have ended become our children, see prctl(2)."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def below_us() -> dict[int, Process]:
    """Everything of applications that runs: they begin sessions, helpers of our own do not.

    As orphans come to us, nothing of theirs is anywhere else.
    """
    children_of = _children()
    own = os.getsid(0)
    found: dict[int, Process] = {}
    unseen = children_of(os.getpid())
    while unseen:
        pid = unseen.pop()
        process = read(pid)
        if process is not None and pid not in found and process.session != own:
            found[pid] = process
            unseen += children_of(pid)
    return {pid: process for pid, process in found.items() if not process.ended}


def read(pid: int) -> Process | None:
    """A process, whoever's; None when there is no such one."""
    try:
        fields = _read_file(pid, "stat").rpartition(b")")[2].split()
    except OSError:  # it ended while we looked
        return None
    return _parse(pid, fields) if len(fields) >= 20 else None


def _parse(pid: int, fields: list[bytes]) -> Process:
    """https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, from the third field on."""
    return Process(
        pid=pid,
        start_time=int(fields[19]),
        parent=int(fields[1]),
        session=int(fields[3]),
        ended=fields[0] in (b"Z", b"X"),
    )


def _children() -> Callable[[int], list[int]]:
    kernel_lists_them = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
    return listed_children if kernel_lists_them else scanned_children()


def listed_children(pid: int) -> list[int]:
    """As the kernel lists them, thread by thread."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, _read_file(pid, f"task/{task}/children").split())
    return found


def scanned_children() -> Callable[[int], list[int]]:
    """The same from the table of all processes, where the kernel has no such lists."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        process = read(int(name))
        if process is not None:
            children.setdefault(process.parent, []).append(process.pid)
    return lambda pid: list(children.get(pid, ()))


def _read_file(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read(_MAX_FILE)


def carries(pid: int, mark: bytes) -> bool:
    with contextlib.suppress(OSError):
        return mark in _read_file(pid, "environ").split(b"\0")
    return False


def find_tree(mark: str, leader: int, known: set[Process]) -> set[Process]:
    """Every process of one start. `known` are those that were found before."""
    table = below_us()
    marked = f"{MARKER}={mark}".encode()
    found = {pid for pid, process in table.items() if process in known or carries(pid, marked)}
    sessions = {leader, *(table[pid].session for pid in found)}
    found |= {pid for pid, process in table.items() if process.session in sessions}
    return {table[pid] for pid in with_descendants(table, found)}


def with_descendants(table: dict[int, Process], members: set[int]) -> set[int]:
    members = set(members)
    found = members
    while found:
        found = {p.pid for p in table.values() if p.parent in members} - members
        members |= found
    return members


def end_tree(mark: str, leader: int, patience: float = PATIENCE) -> bool:
    """Ends every process of one start; True when none is left. Blocks."""
    return _end(lambda known: find_tree(mark, leader, known), patience)


def end_all(patience: float = PATIENCE) -> bool:
    """The same for all that this server ever started. Blocks."""
    return _end(lambda known: set(below_us().values()), patience)


def _end(find: Callable[[set[Process]], set[Process]], patience: float) -> bool:
    """TERM, and KILL for what is left later.

    Looks again until nothing is found, since a process may have forked meanwhile.
    """
    known: set[Process] = set()
    told: set[Process] = set()
    deadline = time.monotonic() + patience
    while found := find(known):
        known |= found
        told = _end_round(found, told, deadline)
        if time.monotonic() > deadline + GIVE_UP:
            return False
    return True


def _end_round(tree: set[Process], told: set[Process], deadline: float) -> set[Process]:
    """Signals, then waits for the first end. A TERM is sent once: it may begin an orderly end."""
    late = time.monotonic() >= deadline
    number = signal.SIGKILL if late else signal.SIGTERM
    targets = tree if late else tree - told
    with _handles(tree) as handles:
        for process in targets:
            if process in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handles[process], number)
        _wait_for_one(list(handles.values()), max(0.02, deadline - time.monotonic()))
    return told | targets


@contextlib.contextmanager
def _handles(tree: set[Process]) -> Iterator[dict[Process, int]]:
    """pidfds of the processes that are still the ones we saw."""
    handles: dict[Process, int] = {}
    try:
        for process in tree:
            with contextlib.suppress(OSError):
                handles[process] = os.pidfd_open(process.pid)
                if read(process.pid) != process:
                    os.close(handles.pop(process))
        yield handles
    finally:
        for handle in handles.values():
            os.close(handle)


def _wait_for_one(handles: list[int], seconds: float) -> None:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    if handles:
        poll.poll(min(seconds, 0.5) * 1000)


def reap_orphans(leaders: set[int]) -> None:
    """Takes leave of adopted children that have ended.

    Who forks within this server keeps his own children: they are in our session, and an
    application's, which begins a new one, never is. Its leaders are waited for elsewhere.
    """
    own = os.getsid(0)
    for pid in _children()(os.getpid()):
        process = read(pid)
        if process is None or not process.ended or process.session == own or pid in leaders:
            continue
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
