"""Finds and ends the processes of people's servers by the marker that they inherit. Needs root."""

import pwd
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import system

MARKER = b"UNIXSPAWNER_SERVER_ID="
_SERVER_ID = re.compile(rb"[0-9a-f]{32}")


@dataclass(frozen=True)
class MarkedProcess:
    pid: int
    account: str
    server_id: str


def marked_processes() -> list[MarkedProcess]:
    """Root's processes are never among them, whatever their environment says."""
    found = []
    for pid in system.processes():
        server_id, uid = _server_id(pid), system.process_uid(pid)
        if server_id and uid:
            found.append(MarkedProcess(pid, account_of(uid), server_id))
    return found


def _server_id(pid: int) -> str:
    environment = b"\0" + system.read_process(pid, "environ")
    value = environment.partition(b"\0" + MARKER)[2].partition(b"\0")[0]
    return value.decode(errors="replace") if _SERVER_ID.fullmatch(value) else ""


def is_server_id(text: str) -> bool:
    return _SERVER_ID.fullmatch(text.encode()) is not None


def account_of(uid: int) -> str:
    """Its name; where it has none the number, which is no name of anybody whom we serve."""
    return name_of(uid) or str(uid)


def name_of(uid: int) -> str:
    """Empty for a number without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def end_all(find: Callable[[], list[int]], patience: float = 5.0) -> None:
    """TERM, and KILL after `patience` seconds; looks again until nothing is found."""
    told: set[int] = set()
    deadline = time.monotonic() + patience
    while (found := find()) and time.monotonic() < deadline + patience:
        is_late = time.monotonic() > deadline
        number = signal.SIGKILL if is_late else signal.SIGTERM
        system.signal_processes([p for p in found if is_late or p not in told], number, find)
        told.update(found)
        time.sleep(0.05)
