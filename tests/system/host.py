"""The machine under test, and how a test acts on it: as root, or as one of its accounts.

Run by pytest as root. Tests talk to a Host and to nothing else of the machine, so that the same
tests can meet another one (a virtual machine over ssh) through another implementation of it.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

DEADLINE = 30.0
Value = TypeVar("Value")


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
    """The service's public address, base URL included, ending in a slash."""

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

    def __init__(self, url: str) -> None:
        self.url = url

    def run(
        self, *command: str, stdin: str = "", check: bool = True, timeout: float = DEADLINE
    ) -> Result:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            cwd="/",
        )
        result = Result(command, done.returncode, done.stdout, done.stderr)
        assert not check or result.status == 0, result
        return result

    def as_account(
        self,
        account: str,
        *command: str,
        stdin: str = "",
        check: bool = True,
        timeout: float = DEADLINE,
    ) -> Result:
        return self.run(*become(self, account), *command, stdin=stdin, check=check, timeout=timeout)


def become(host: Host, account: str) -> tuple[str, ...]:
    """The words before a command that make root the account, for good: no way back, as at login."""
    gid = host.run("id", "-g", account).out.strip()
    return (
        "setpriv",
        f"--reuid={account}",
        f"--regid={gid}",
        "--init-groups",
        "--reset-env",
        "--inh-caps=-all",  # the bounding set stays, or else sudo could not do its work
        "--",
    )


def wait_for(what: str, look: Callable[[], Value | None], deadline: float = DEADLINE) -> Value:
    """Look until there is something (not None, not False), and fail with `what` if it never is.

    For what nobody can be asked to announce: a line in a log, the end of a process tree.
    """
    end = time.monotonic() + deadline
    while True:
        value = look()
        if value is not None and value is not False:
            return value
        assert time.monotonic() < end, f"waited {deadline:.0f} s in vain for {what}"
        time.sleep(0.02)  # the pace of looking, not a synchronisation
