"""Asks the machine's name service in three values: yes, no, and cannot tell.

Used in the hub, as its account, and in `authenticate`. Python's own pwd and grp report a name
service that is down as "no such account", and nobody may be put out for that. The C library's
return code tells the two apart, though only for the service that it asked last, see nss(5).
"""

import ctypes
import errno
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

NOBODYS_GROUP = 2**32 - 1  # what group_ids is asked with when the primary group is not known
NO_GROUP = -1  # stands for the number of a group that is not known
MAX_BUFFER = 64 * 2**20  # octets; a group's entry holds the names of all its members


class UnavailableError(Exception):
    """The name service gave no answer. The text is the name of the error."""


class Entry(NamedTuple):
    """An account, as far as membership depends on it."""

    name: str
    uid: int
    gid: int


class _Passwd(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("gecos", ctypes.c_char_p),
        ("home", ctypes.c_char_p),
        ("shell", ctypes.c_char_p),
    ]


class _Group(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("gid", ctypes.c_uint32),
        ("members", ctypes.c_void_p),
    ]


Taken = TypeVar("Taken")
_library = ctypes.CDLL(None, use_errno=True)  # calls let other threads run meanwhile


def find_account(name: str) -> Entry | None:
    """The account of that name, None when there definitely is none.

    Raises:
        UnavailableError: cannot tell.
    """
    return find("getpwnam_r", _Passwd, name, lambda it: Entry(it.name.decode(), it.uid, it.gid))


def find_group(name: str) -> int | None:
    """The number of the group of that name, None when there definitely is none.

    Raises:
        UnavailableError: cannot tell.
    """
    return find("getgrnam_r", _Group, name, lambda it: int(it.gid))


def group_ids(name: str, primary: int) -> frozenset[int]:
    """All groups of an account, as a login would get them; a service that is down is left out."""
    room = 256
    while True:
        count = ctypes.c_int(room)
        ids = (ctypes.c_uint32 * room)()
        if _library.getgrouplist(name.encode(), ctypes.c_uint32(primary), ids, _by(count)) >= 0:
            return frozenset(ids[: count.value])
        room = max(2 * room, count.value)


def use_only(service: str, databases: tuple[str, ...]) -> None:
    """From here on this process asks that one service, as `getent -s` does, past any cache."""
    for database in databases:
        if _library.__nss_configure_lookup(database.encode(), service.encode()) != 0:
            raise UnavailableError(f"{service} cannot be asked for {database}")


def find(
    function: str, kind: type[ctypes.Structure], name: str, take: Callable[[Any], Taken]
) -> Taken | None:
    """One call of a get…_r function; `take` makes something of the entry while it is there.

    Raises:
        UnavailableError: cannot tell.
    """
    size = 4096
    while size <= MAX_BUFFER:
        entry, buffer, found = kind(), ctypes.create_string_buffer(size), ctypes.c_void_p()
        call = getattr(_library, function)
        code = call(name.encode(), _by(entry), buffer, ctypes.c_size_t(size), _by(found))
        if code == errno.ERANGE:
            size *= 4
        elif code not in (0, errno.EINTR):
            raise UnavailableError(errno.errorcode.get(code, str(code)))
        elif code == 0:
            return take(entry) if found else None
    raise UnavailableError("an entry is too large")


def _by(value: Any) -> Any:
    return ctypes.byref(value)
