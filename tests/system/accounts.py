"""Real Unix accounts for the tests: made, changed, restored and removed.

Run by pytest as root. Every account carries a mark in its GECOS field; nothing without the mark is
ever changed or removed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field

from tests.system.host import Host, wait_for

MARK = "unixspawner system test"
_OF_SYSTEMD = re.compile(r"systemd --user\b|\(sd-[a-z-]+\)|--systemd-activation")
NAMES = ("alice", "bob", "carol", "mallory")


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    home: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Accounts:
    """alice and bob are members, carol is an administrator and a member, mallory is neither."""

    alice: Account
    bob: Account
    carol: Account
    mallory: Account

    def __iter__(self) -> Iterator[Account]:
        return iter((self.alice, self.bob, self.carol, self.mallory))

    @property
    def numbers(self) -> str:
        """All of them for ps and pkill: a test may have taken a name away."""
        return ",".join(str(account.uid) for account in self)


def _is_ours(host: Host, name: str) -> bool:
    entry = host.run("getent", "passwd", name, check=False).out
    return entry.split(":")[4:5] == [MARK]


def _exists(host: Host, name: str) -> bool:
    return host.run("getent", "passwd", name, check=False).status == 0


def create(host: Host, name: str, groups: tuple[str, ...]) -> Account:
    """Make one account; a leftover of an earlier run is replaced, anybody else's is not touched."""
    if _exists(host, name):
        assert _is_ours(host, name), f"{name} is somebody's account: use a throw-away machine"
        remove(host, name)
    supplementary = ("-G", ",".join(groups)) if groups else ()
    host.run("useradd", "-m", "-U", "-s", "/bin/bash", "-c", MARK, *supplementary, name)
    password = secrets.token_urlsafe(16)
    host.run("chpasswd", stdin=f"{name}:{password}\n")
    _, _, uid, _, _, home, _ = host.run("getent", "passwd", name).out.strip().split(":")
    return Account(name, int(uid), home, password)


def remove(host: Host, name: str) -> None:
    """End the account's processes and remove it with its home and its spare logs."""
    assert _is_ours(host, name), name
    end_processes(host, name)
    host.run("rm", "-rf", f"/tmp/unixspawner-{host.run('id', '-u', name).out.strip()}")
    host.run("userdel", "-r", name, check=False)
    assert not _exists(host, name)


def end_processes(host: Host, who: str) -> None:
    """KILL whatever runs as an account, or as several, and wait until nothing does."""
    host.run("pkill", "-KILL", "-U", who, check=False)
    wait_for(f"the end of the processes of {who}", lambda: not _everything(host, who))


def processes(host: Host, who: str) -> list[str]:
    """The command lines of what runs as an account, or as several, without what is systemd's own.

    `who` is a name or a number, or several with commas in between, as ps has it.

    Each person has a manager of services, which outlasts the last session by some seconds.
    """
    return [line for line in _everything(host, who) if not _OF_SYSTEMD.search(line)]


def _everything(host: Host, who: str) -> list[str]:
    """Zombies left out."""
    lines = host.run("ps", "-ww", "-U", who, "-o", "stat=,pid=,args=", check=False).out.splitlines()
    return [line.strip() for line in lines if not line.startswith("Z")]


@contextmanager
def changed(host: Host, change: tuple[str, ...], restore: tuple[str, ...]) -> Iterator[None]:
    """Run one command now and another one afterwards, whatever happens in between."""
    host.run(*change)
    try:
        yield
    finally:
        host.run(*restore)


def unknown(host: Host, name: str) -> AbstractContextManager[None]:
    """An account of the machine's files that is not there for a while."""
    lines = host.run("cat", "/etc/passwd").out.splitlines(keepends=True)
    others = "".join(line for line in lines if not line.startswith(f"{name}:"))
    return replaced_file(host, "/etc/passwd", others)


@contextmanager
def replaced_file(host: Host, path: str, content: str | None) -> Iterator[None]:
    """Give a file other content (None: take it away), and put the very same file back afterwards.

    The new file keeps owner and mode. The old one waits outside of /etc, where nothing reads it.
    """
    shelter = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    host.run("cp", "-a", "--", path, f"{shelter}/kept")
    try:
        if content is None:
            host.run("rm", "--", path)
        else:
            host.run("tee", "--", path, stdin=content)
        yield
    finally:
        host.run("cp", "-a", "--", f"{shelter}/kept", f"{path}.new")
        host.run("mv", "--", f"{path}.new", path)
        with suppress(AssertionError):
            host.run("rm", "-r", "--", shelter)
