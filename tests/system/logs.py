"""What the hub and sudo have written down since a moment. Run by pytest as root."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

from tests.system.host import Host, wait_for
from tests.system.service import has_systemd, options

HUB_LOG = "/var/log/unixspawner/hub.log"
SUDO_LOG = "/var/log/unixspawner-test-sudo.log"
# Read after ours, because sudo takes the files of the folder in the order of their names.
SUDO_LOG_RULE = "/etc/sudoers.d/unixspawner_test_log"


@dataclass(frozen=True)
class HubLog:
    """The hub's log from a moment on: the journal where there is one, else the file."""

    host: Host
    start: str
    in_journal: bool

    @classmethod
    def from_now(cls, host: Host) -> Self:
        if has_systemd(host):
            return cls(host, journal_cursor(host), True)
        return cls(host, host.run("stat", "-c", "%s", HUB_LOG).out.strip(), False)

    def text(self) -> str:
        if self.in_journal:
            command = ("journalctl", "-u", "unixspawner", "-o", "cat", "--after-cursor", self.start)
            return self.host.run(*command).out
        return self.host.run("tail", "-c", f"+{int(self.start) + 1}", HUB_LOG).out

    def wait_for(self, wanted: str) -> None:
        wait_for(f"{wanted!r} in the hub's log", lambda: wanted in self.text())


@dataclass(frozen=True)
class SudoLog:
    """What sudo let the hub's account do or did not, one record a line."""

    host: Host
    account: str
    journal_from: str = ""  # a cursor, where sudo is sudo-rs: it keeps no log of its own
    offset: int = 0

    def from_now(self) -> Self:
        return replace(self, offset=len(self._all()))

    def records(self) -> list[str]:
        # A record longer than sudo's line width goes on in the next line, indented.
        joined = re.sub(r"\n\s+", " ", self._all()[self.offset :])
        return [line for line in joined.splitlines() if line.strip()]

    def commands(self) -> list[str]:
        """What was run or refused: "USER=alice COMMAND=/path/mediator start" and its like."""
        return [re.sub(r"^.*?(USER=\S+) ; ", r"\1 ", record) for record in self.records()]

    def mediator_calls(self) -> list[str]:
        return [record for record in self.records() if "/mediator" in record]

    def _all(self) -> str:
        if not self.journal_from:
            return self.host.run("cat", SUDO_LOG, check=False).out
        command = ("journalctl", "-q", "-t", "sudo", "-o", "cat", "--after-cursor")
        lines = self.host.run(*command, self.journal_from).out.splitlines(keepends=True)
        return "".join(line for line in lines if line.startswith(f"{self.account} :"))


@functools.cache
def is_sudo_rs(host: Host) -> bool:
    said = host.run("sudo", "--version")
    return (said.out + said.err).startswith("sudo-rs")


def journal_cursor(host: Host) -> str:
    out = host.run("journalctl", "-n", "0", "--show-cursor", "-q").out
    return out.partition("cursor: ")[2].strip()


@contextmanager
def sudo_log(host: Host) -> Iterator[SudoLog]:
    """Let sudo keep a log of the hub's account while the tests run, beside syslog."""
    account = options(host).hub_account
    if is_sudo_rs(host):
        yield SudoLog(host, account, journal_cursor(host))
        return
    rule = f"Defaults:{account} logfile={SUDO_LOG}, loglinelen=0\n"
    host.run("install", "-m", "0440", "/dev/stdin", f"{SUDO_LOG_RULE}.new", stdin=rule)
    host.run("visudo", "-cqf", f"{SUDO_LOG_RULE}.new")
    host.run("mv", f"{SUDO_LOG_RULE}.new", SUDO_LOG_RULE)
    try:
        yield SudoLog(host, account)
    finally:
        host.run("rm", "-f", SUDO_LOG_RULE, SUDO_LOG)
