"""What runs for people, as /proc tells it: servers with their processes, memory and applications.

Needs root to see other people's. A server is all that carries its marker in the environment and all
that descends from these, as in a stop (docs/adr/0006). Names in an environment are the person's to
write: they are shown, escaped, and never believed.
"""

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from . import former, marked, system

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_APPLICATION = re.compile(r"([a-z0-9][a-z0-9-]{0,63}):.{0,200}", re.ASCII)
_MAX_NAME = 255


@dataclass(frozen=True)
class Process:
    """`started` and `used` in clock ticks, since boot and of all processors together."""

    pid: int
    parent: int
    uid: int
    started: int
    used: int
    environment: dict[str, str]


@dataclass(frozen=True)
class Server:
    """A server of one person; `name` is empty for the one without a name."""

    account: str
    name: str
    server_id: str
    processes: tuple[Process, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.account, self.server_id

    @property
    def uid(self) -> int:
        return self.processes[0].uid

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    @property
    def since(self) -> datetime:
        started = min(process.started for process in self.processes)
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started / _TICKS
        return datetime.fromtimestamp(time.time() - age).astimezone()

    @property
    def applications(self) -> list[str]:
        names = (
            process.environment.get("UNIXSPAWNER_APPLICATION", "") for process in self.processes
        )
        return sorted({match[1] for name in names if (match := _APPLICATION.fullmatch(name))})

    @property
    def used(self) -> int:
        return sum(process.used for process in self.processes)


def servers(hub_account: str = "") -> list[Server]:
    """All servers of people, by account and name.

    With the hub's account those of people who have none any more bear their names, too.
    """
    table = _table()
    groups: dict[tuple[int, str], set[int]] = {}
    for process in table.values():
        if server_id := process.environment.get("UNIXSPAWNER_SERVER_ID", ""):
            groups.setdefault((process.uid, server_id), set()).add(process.pid)
    names = former.names(hub_account, groups) if hub_account else {}
    found = [
        _server(names.get(uid) or marked.account_of(uid), server_id, table, pids)
        for (uid, server_id), pids in groups.items()
    ]
    return sorted(found, key=lambda server: (server.account, server.name, server.server_id))


def _server(
    account: str, server_id: str, table: dict[int, Process], marked_pids: set[int]
) -> Server:
    members = _with_descendants(table, marked_pids)
    processes = tuple(sorted((table[pid] for pid in members), key=lambda each: each.started))
    oldest = min((table[pid] for pid in marked_pids), key=lambda each: each.started)
    name = oldest.environment.get("JUPYTERHUB_SERVER_NAME", "")[:_MAX_NAME]
    return Server(account, name, server_id, processes)


def _with_descendants(table: dict[int, Process], members: set[int]) -> set[int]:
    """Of the same account: what a person's terminal runs through su or sudo is not the person's."""
    found, everybody = members, set(members)
    while found:
        found = {
            process.pid
            for process in table.values()
            if process.parent in found and process.uid == table[process.parent].uid
        } - everybody
        everybody |= found
    return everybody


def _table() -> dict[int, Process]:
    """Every process of this machine that is not root's."""
    found = {}
    for pid in system.processes():
        uid = system.process_uid(pid)
        if uid and (process := _process(pid, uid)) is not None:
            found[pid] = process
    return found


def _process(pid: int, uid: int) -> Process | None:
    fields = system.read_process(pid, "stat").rpartition(b")")[2].split()
    if len(fields) < 20:
        return None  # it ended while we looked
    parent, started = int(fields[1]), int(fields[19])
    return Process(pid, parent, uid, started, int(fields[11]) + int(fields[12]), _environment(pid))


def start_time(pid: int) -> int | None:
    """In clock ticks since boot; with the pid it names one process. None when it has ended."""
    fields = system.read_process(pid, "stat").rpartition(b")")[2].split()
    return None if len(fields) < 20 or fields[0] == b"Z" else int(fields[19])


_WANTED = (
    b"UNIXSPAWNER_SERVER_ID=",
    b"UNIXSPAWNER_APPLICATION=",
    b"JUPYTERHUB_SERVER_NAME=",
)


def _environment(pid: int) -> dict[str, str]:
    """The few variables that we look at; the marker only in its one form."""
    pairs = [
        pair.decode(errors="replace").partition("=")
        for pair in system.read_process(pid, "environ").split(b"\0")
        if pair.startswith(_WANTED)
    ]
    found = {name: value for name, _, value in reversed(pairs)}
    if not marked.is_server_id(found.get("UNIXSPAWNER_SERVER_ID", "")):
        found.pop("UNIXSPAWNER_SERVER_ID", None)
    return found


def memory(pids: Iterable[int]) -> tuple[int, str]:
    """Octets, and which kind: "PSS" shares out what processes have in common, "RSS" counts it each.

    RSS is for those who may not look at PSS.
    """
    found = list(pids)
    shares = [_proportional_share(pid) for pid in found]
    known = [share for share in shares if share is not None]
    if len(known) == len(found):
        return sum(known), "PSS"
    return sum(_resident(pid) for pid in found), "RSS"


def _proportional_share(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            lines = [line.split() for line in file if line.startswith("Pss:")]
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended while we looked
    except OSError:
        return None
    return sum(int(words[1]) for words in lines) * 1024


def _resident(pid: int) -> int:
    words = system.read_process(pid, "statm").split()
    return int(words[1]) * _PAGE if len(words) > 1 else 0


def cpu_shares(
    before: Iterable[Server], after: Iterable[Server], seconds: float
) -> dict[tuple[str, str], float]:
    """(account, server id): processors in use between two looks; 1.0 is one, all the time."""
    earlier = {
        (process.pid, process.started): process.used
        for server in before
        for process in server.processes
    }
    return {server.key: _share(server, earlier, seconds) for server in after}


def _share(server: Server, earlier: dict[tuple[int, int], int], seconds: float) -> float:
    """A process that is new since then has used all that it has used."""
    used = sum(
        process.used - earlier.get((process.pid, process.started), 0)
        for process in server.processes
    )
    return max(0.0, used / _TICKS / seconds)
