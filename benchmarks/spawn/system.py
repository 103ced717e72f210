"""Processes, files and accounts of the machine, under names one notices; run by root."""

import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import BenchmarkError

PROC = Path("/proc")
_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    given: str | None = None,
) -> None:
    """Run a program to its end; what it says is shown only when it fails."""
    done = subprocess.run(
        command,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed.", done.stdout)


def account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def write_file(path: Path, text: str, mode: int, gid: int = 0) -> None:
    """A new file of root's, with its final mode from its first moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchown(descriptor, 0, gid)
        os.fchmod(descriptor, mode)
        file.write(text)


def children(parent: int) -> list[int]:
    return [pid for pid in _pids() if _ids(pid)[0] == parent]


def processes_of(uid: int) -> list[int]:
    """All processes whose real uid is `uid`."""
    return [pid for pid in _pids() if _ids(pid)[1] == uid]


def pss_with_sudo(uid: int) -> float:
    """MiB of all processes of an account and of the sudo above each: what one person costs.

    Shared pages count by their share (proportional set size, see proc_pid_smaps(5)).
    """
    own = processes_of(uid)
    parents = {_ids(pid)[0] for pid in own}
    sudos = {pid for pid in parents if _ids(pid)[1] == 0 and _command(pid) == "sudo"}
    return sum(_pss(pid) for pid in {*own, *sudos}) / 1024


def wait_for_end(uid: int, seconds: float) -> None:
    """Return when an account has no process any more, or the time is over."""
    deadline = time.monotonic() + seconds
    while processes_of(uid) and time.monotonic() < deadline:
        time.sleep(0.05)


def end_processes_of(uid: int) -> None:
    """Kill what is left of an account that this benchmark made."""
    deadline = time.monotonic() + 10
    while (pids := processes_of(uid)) and time.monotonic() < deadline:
        for pid in pids:
            kill(pid)
        time.sleep(0.05)


def kill(pid: int) -> None:
    """Kill a process that this benchmark started."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()]


def _ids(pid: int) -> tuple[int, int]:
    """Parent and real uid; (0, -1) of a process that is gone or a zombie."""
    fields = dict(line.split(":", 1) for line in _read(pid, "status").splitlines() if ":" in line)
    if not fields or fields["State"].split()[0] == "Z":
        return 0, -1
    return int(fields["PPid"]), int(fields["Uid"].split()[0])


def _command(pid: int) -> str:
    return _read(pid, "comm").strip()


def _pss(pid: int) -> int:
    found = _PSS.search(_read(pid, "smaps_rollup"))
    return int(found.group(1)) if found else 0


def _read(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
