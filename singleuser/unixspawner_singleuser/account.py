"""The Unix account that this process runs as: the identity that applications are told.

Run as the person signed in. Looked up once, in a thread, because the account may live in a
directory service that is slow today.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from .errors import ConfigurationError
from .patience import in_thread


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    home: str
    groups: tuple[str, ...]
    shell: str = ""


def current_account() -> Account:
    """From the process's own ids, never from the environment."""
    uid = os.getuid()
    try:
        entry = pwd.getpwuid(uid)
        name, home, shell = entry.pw_name, entry.pw_dir, entry.pw_shell
    except KeyError:
        name, home, shell = str(uid), "/", ""
    gids = sorted({os.getgid(), *os.getgroups()})
    groups = tuple(_group_name(gid) for gid in gids)
    return Account(name=name, uid=uid, home=home, groups=groups, shell=shell)


def uid_of(name: str) -> int:
    """Raises ConfigurationError when there is no such account."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ConfigurationError(f"There is no account {name} on this machine.") from None


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


class OwnAccount:
    """The account, looked up at the first question."""

    def __init__(self, known: Account | None = None) -> None:
        self._account = known

    async def get(self) -> Account:
        if self._account is None:
            self._account = await in_thread(current_account)
        return self._account
