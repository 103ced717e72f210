"""Real Unix accounts for the tests: made, changed, restored and removed.

Run by pytest as root. Every account carries a mark in its GECOS field; nothing without the mark is
ever changed or removed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from tests.system.host import Host, wait_for

MARK = "unixspawner system test"
# In the control group of the person's manager of services. Alone in parentheses, cut to its last
# letters, is what systemd is about to run.
_OF_SYSTEMD = re.compile(
    r"/user@\d+\.service(/\S*)? "
    r"(\S*systemd --user\b|\(\S+\)$|/usr/lib/systemd/systemd-executor |.* --systemd-activation)"
)
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


_CREATE = """
useradd -m -U -s /bin/bash "$@"
chpasswd
"""
_REMOVE = """
rm -rf "/tmp/unixspawner-$(id -u -- "$1")"
userdel -r "$1" || true
"""


def _entry(host: Host, name: str) -> list[str]:
    """Of passwd; one empty field when there is none."""
    return host.run("getent", "passwd", name, check=False).out.strip().split(":")


def create(host: Host, name: str, groups: tuple[str, ...]) -> Account:
    """Make one account; a leftover of an earlier run is replaced, anybody else's is not touched."""
    remove(host, name)
    supplementary = ("-G", ",".join(groups)) if groups else ()
    password = secrets.token_urlsafe(16)
    words = ("-c", MARK, *supplementary, name)
    host.run("sh", "-ec", _CREATE, "sh", *words, stdin=f"{name}:{password}\n")
    _, _, uid, _, _, home, _ = _entry(host, name)
    return Account(name, int(uid), home, password)


def remove(host: Host, name: str) -> None:
    """End the processes of an account and remove it with home and spare logs, if it is there."""
    entry = _entry(host, name)
    if entry == [""]:
        return
    assert entry[4] == MARK, f"{name} is somebody's account: use a throw-away machine"

    def removed() -> bool:
        end_processes(host, name)
        host.run("sh", "-ec", _REMOVE, "sh", name)
        return _entry(host, name) == [""]

    # userdel refuses while a session begins or ends, such as one of a run that was killed
    wait_for(f"the end of the account {name}", removed)


LIST = 'ps -ww -U "$1" -o stat=,pid=,cgroup:400=,args= || true'  # there may be none
_END = f'pkill -KILL -U "$1" || true; {LIST}'


def end_processes(host: Host, who: str) -> None:
    """KILL whatever runs as an account, or as several, and wait until nothing does."""

    def ended() -> bool:
        return _living(host.run("sh", "-c", _END, "sh", who).out) == []

    wait_for(f"the end of the processes of {who}", ended)


def processes(host: Host, who: str) -> list[str]:
    """What runs as an account, or as several, without what is systemd's own: state, pid, control
    group and command line of each.

    `who` is a name or a number, or several with commas in between, as ps has it.
    """
    return of_people(host.run("sh", "-c", LIST, "sh", who).out)


def of_people(listed: str) -> list[str]:
    """Each person has a manager of services, which outlasts the last session by some seconds."""
    return [line for line in _living(listed) if not _OF_SYSTEMD.search(line)]


def _living(listed: str) -> list[str]:
    """Zombies left out."""
    lines = (" ".join(line.split()) for line in listed.splitlines())
    return [line for line in lines if not line.startswith("Z")]


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


_KEEP = """
shelter=$(mktemp -d /var/tmp/unixspawner-test.XXXXXX)
cp -a -- "$1" "$shelter/kept"
echo "$shelter"
"""
_PUT_BACK = """
cp -a -- "$2/kept" "$1.new"
mv -- "$1.new" "$1"
rm -r -- "$2" || true
"""


@contextmanager
def replaced_file(host: Host, path: str, content: str | None) -> Iterator[None]:
    """Give a file other content (None: take it away), and put the very same file back afterwards.

    The new file keeps owner and mode. The old one waits outside of /etc, where nothing reads it.
    """
    shelter = host.run("sh", "-ec", _KEEP, "sh", path).out.strip()
    try:
        if content is None:
            host.run("rm", "--", path)
        else:
            host.run("tee", "--", path, stdin=content)
        yield
    finally:
        host.run("sh", "-ec", _PUT_BACK, "sh", path, shelter)
