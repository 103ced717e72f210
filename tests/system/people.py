"""Looks at the processes of a person on the host, as root sees them in /proc. Run by pytest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.system.host import Host

MARKER = "UNIXSPAWNER_SERVER_ID"
# Reads /proc in one go, because a process table is never still.
_PROGRAM = r"""
import json, os, pwd, sys
uid = pwd.getpwnam(sys.argv[1]).pw_uid
def read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
found = []
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.stat(f"/proc/{name}").st_uid != uid:
            continue
        status = dict(line.split(":\t", 1) for line in read(name, "status").decode().splitlines())
        fields = read(name, "stat").rpartition(b")")[2].split()
        if fields[0] == b"Z":
            continue
        environ = read(name, "environ").decode("utf-8", "replace").split("\0")
        found.append({
            "pid": int(name), "parent": int(fields[1]), "start_time": int(fields[19]),
            "command": [part.decode() for part in read(name, "cmdline").split(b"\0")[:-1]],
            "environment": dict(pair.split("=", 1) for pair in environ if "=" in pair),
            "cwd": os.readlink(f"/proc/{name}/cwd"),
            "uids": [int(n) for n in status["Uid"].split()],
            "gids": [int(n) for n in status["Gid"].split()],
            "groups": sorted(int(n) for n in status["Groups"].split()),
            "umask": status["Umask"].strip(),
            "capabilities": status["CapEff"].strip(),
            "output": [os.readlink(f"/proc/{name}/fd/{n}") for n in (0, 1, 2)],
        })
    except (FileNotFoundError, ProcessLookupError):
        continue
json.dump(found, sys.stdout)
"""


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    start_time: int
    command: list[str]
    environment: dict[str, str]
    cwd: str
    uids: list[int]
    gids: list[int]
    groups: list[int]
    umask: str
    capabilities: str
    output: list[str]

    @property
    def is_server(self) -> bool:
        return MARKER in self.environment

    @property
    def server_id(self) -> str:
        return self.environment[MARKER]


def processes_of(host: Host, name: str) -> list[Process]:
    """Everything that runs as the account."""
    out = host.run("/usr/bin/python3", "-I", "-c", _PROGRAM, name).out
    found: list[dict[str, Any]] = json.loads(out)
    return [Process(**each) for each in found]


def servers_of(host: Host, name: str) -> list[Process]:
    """The processes of the account that carry a server's marker."""
    return [process for process in processes_of(host, name) if process.is_server]


def server_of(host: Host, name: str) -> Process:
    """The one server of the account."""
    (server,) = servers_of(host, name)
    return server


def boot_id(host: Host) -> str:
    return host.run("cat", "/proc/sys/kernel/random/boot_id").out.strip()


def is_alive(host: Host, process: Process) -> bool:
    """Whether this very process still runs, and not another one with its number."""
    command = ("cut", "-d", ")", "-f", "2-", f"/proc/{process.pid}/stat")
    fields = host.run(*command, check=False).out.split()
    return len(fields) > 19 and fields[0] != "Z" and int(fields[19]) == process.start_time
