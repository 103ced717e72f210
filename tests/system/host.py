"""The machine under test, and how a test acts on it: as root, or as one of its accounts.

Run by pytest as root. Tests talk to a Host and to nothing else of the machine, so that the same
tests meet a virtual machine over ssh through tests/system/remote.py.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

DEADLINE = 30.0
Value = TypeVar("Value")
_patience = 1.0


def be_patient(factor: float) -> None:
    """Wait so many times longer for everything, because the machine is slow."""
    global _patience
    _patience = factor


def patient(seconds: float) -> float:
    """How long to wait on this machine for what takes at most that long on others."""
    return seconds * _patience


@dataclass(frozen=True)
class Result:
    """What a command on the host came to."""

    command: tuple[str, ...]
    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{shlex.join(self.command)}\nstatus {self.status}\n{self.out}\n{self.err}"


class Host(Protocol):
    """A machine with the service on it."""

    url: str
    """The service's public address from here, base URL included, ending in a slash."""
    clone: str
    """The path of this clone there."""
    reboots: bool
    """Whether it can be restarted, and tests go on."""

    def reboot(self) -> None:
        """Restart the machine; returns when it can be reached again, which says nothing of the
        service."""
        ...

    def __hash__(self) -> int: ...

    def reach(self, address: str, port: int) -> tuple[str, int]:
        """Where to connect to from here to get to a TCP port of the host's own."""
        ...

    def expose(self, port: int) -> int:
        """The port on the host's 127.0.0.1 that leads to this port on 127.0.0.1 here."""
        ...

    def run(
        self, *command: str, stdin: str = "", check: bool = True, timeout: float = DEADLINE
    ) -> Result:
        """Run a command as root. With `check`, a status other than 0 fails the test."""
        ...

    def as_account(
        self,
        account: str,
        *command: str,
        stdin: str = "",
        check: bool = True,
        timeout: float = DEADLINE,
    ) -> Result:
        """Run a command as an account with its groups and an empty environment, in /."""
        ...


class LocalHost:
    """This machine. Needs root."""

    reboots = False

    def __init__(self, clone: str) -> None:
        self.url = ""
        self.clone = clone

    def reboot(self) -> None:
        raise NotImplementedError("the tests run on it")

    def reach(self, address: str, port: int) -> tuple[str, int]:
        return address, port

    def expose(self, port: int) -> int:
        return port

    def run(
        self, *command: str, stdin: str = "", check: bool = True, timeout: float = DEADLINE
    ) -> Result:
        return finish(command, command, stdin, check, timeout)

    def as_account(
        self,
        account: str,
        *command: str,
        stdin: str = "",
        check: bool = True,
        timeout: float = DEADLINE,
    ) -> Result:
        return self.run(*become(account), *command, stdin=stdin, check=check, timeout=timeout)


def finish(
    command: tuple[str, ...],
    local: Sequence[str],
    stdin: str = "",
    check: bool = True,
    timeout: float = DEADLINE,
) -> Result:
    """Run the local command to its end; what it came to is the outcome of `command`."""
    done = subprocess.run(
        local,
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=patient(timeout),
        cwd="/",
    )
    result = Result(command, done.returncode, done.stdout, done.stderr)
    assert not check or result.status == 0, result
    return result


_BECOME = """
gid=$(id -g -- "$1") || exit
account=$1
shift
exec setpriv --reuid="$account" --regid="$gid" --init-groups --reset-env --inh-caps=-all -- "$@"
"""


def become(account: str) -> tuple[str, ...]:
    """The words before a command that make root the account, for good: no way back, as at login.

    The bounding set of capabilities stays, or else sudo could not do its work.
    """
    return ("/bin/sh", "-c", _BECOME, "sh", account)


def wait_for(what: str, look: Callable[[], Value | None], deadline: float = DEADLINE) -> Value:
    """Look until there is something (not None, not False), and fail with `what` if it never is.

    For what nobody can be asked to announce: a line in a log, the end of a process tree.
    """
    deadline = patient(deadline)
    end = time.monotonic() + deadline
    while True:
        value = look()
        if value is not None and value is not False:
            return value
        assert time.monotonic() < end, f"waited {deadline:.0f} s in vain for {what}"
        time.sleep(0.02)  # the pace of looking, not a synchronisation
