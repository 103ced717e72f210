"""Lends the machine what a run needs and takes all of it back: accounts, a sudo rule, a directory.

Run by root. Everything carries the benchmark's mark, so that the leftovers of a run that was
killed are recognised by the next one, and nothing else is ever touched.
"""

import contextlib
import fcntl
import grp
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import system
from .errors import BenchmarkError

WORK = Path("/var/lib/unixspawner-benchmark")  # databases, sockets, configuration and logs
MARK = "unixspawner benchmark"  # the comment field of each account
STOCK_HUB = "spawnhub"  # runs the hub of the stock SudoSpawner
GROUP = "spawnbench"  # whom that hub may become
_SUDOERS = Path("/etc/sudoers.d/unixspawner-benchmark")
_LOCK = Path("/run/unixspawner-benchmark.lock")


@dataclass(frozen=True)
class Person:
    name: str
    uid: int
    gid: int


def names(count: int) -> list[str]:
    return [f"spawn{number:02}" for number in range(1, count + 1)]


@contextlib.contextmanager
def lent(users: int, users_group: str, sudospawner: Path) -> Iterator[list[Person]]:
    """The accounts of so many people, and all that is needed around them."""
    with _alone():
        _take_back()
        _refuse_foreign(names(users))
        try:
            WORK.mkdir(mode=0o755)
            _make_accounts(names(users), users_group)
            _allow_stock_hub(sudospawner)
            yield [_person(name) for name in names(users)]
        finally:
            _take_back()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with _LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchmarkError("Another run is under way: wait for its end.") from None
        try:
            yield
        finally:
            _LOCK.unlink()


def _refuse_foreign(people: list[str]) -> None:
    for name in [*people, STOCK_HUB]:
        if system.account(name) is not None:
            raise BenchmarkError(
                f"There is an account {name} that is not the benchmark's: use another machine."
            )


def _make_accounts(people: list[str], users_group: str) -> None:
    system.run(["groupadd", "--system", GROUP])
    add = ["useradd", "--comment", MARK]
    system.run([*add, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", STOCK_HUB])
    person = [*add, "--create-home", "--user-group", "--shell", "/bin/bash"]
    for name in people:  # without a password: nobody can sign in
        system.run([*person, "--groups", f"{users_group},{GROUP}", name])


def _allow_stock_hub(sudospawner: Path) -> None:
    """The rule that SudoSpawner's documentation asks for, checked before it is in place."""
    rule = f"{STOCK_HUB} ALL=(%{GROUP}) NOPASSWD: {sudospawner}\n"
    new = _SUDOERS.with_name(f".{_SUDOERS.name}.new")  # sudo ignores names with a dot
    new.unlink(missing_ok=True)
    system.write_file(new, rule, 0o440)
    try:
        system.run(["visudo", "--check", "--file", str(new)])
        os.replace(new, _SUDOERS)
    finally:
        new.unlink(missing_ok=True)


def _person(name: str) -> Person:
    found = system.account(name)
    if found is None:
        raise BenchmarkError(f"The account {name} disappeared.")
    return Person(name, found.pw_uid, found.pw_gid)


def _take_back() -> None:
    _SUDOERS.unlink(missing_ok=True)
    for name in [*names(99), STOCK_HUB]:
        found = system.account(name)
        if found is not None and found.pw_gecos == MARK:
            system.end_processes_of(found.pw_uid)
            home = ["--remove"] if name != STOCK_HUB else []
            system.run(["userdel", *home, name])
    with contextlib.suppress(KeyError):
        grp.getgrnam(GROUP)
        system.run(["groupdel", GROUP])
    shutil.rmtree(WORK, ignore_errors=True)
