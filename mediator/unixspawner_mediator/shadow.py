"""Reads the shadow entry of an account, and says whether it is locked or has expired.

Only `authenticate` has this page: the entry holds the password's hash, which stays here.
"""

import ctypes
import re
from typing import Any, NamedTuple

from .name_service import find

NO_DATE = -1  # what the C library gives for an empty field
# crypt(5): `$id$…`, `_…` of BSDi, or the thirteen characters of the oldest kind.
_HASH = re.compile(rb"\$[0-9A-Za-z].*|_.{19}|[./0-9A-Za-z]{13}")


class Shadow(NamedTuple):
    """What we need of shadow(5). `expires` in days since 1970, UTC, or NO_DATE."""

    is_locked: bool
    expires: int


class _Spwd(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        *((name, ctypes.c_long) for name in ("changed", "min", "max", "warn", "inactive")),
        ("expires", ctypes.c_long),
        ("flag", ctypes.c_ulong),
    ]


def find_shadow(name: str) -> Shadow | None:
    """The entry of an account, None when it definitely has none (LDAP, Kerberos, SSSD).

    Raises:
        UnavailableError: cannot tell.
    """
    return find("getspnam_r", _Spwd, name, _shadow)


def _shadow(entry: Any) -> Shadow:
    return Shadow(is_locked_hash(entry.password or b""), int(entry.expires))


def is_locked_hash(password: bytes) -> bool:
    """Whether somebody locked this password: a `!` with a hash behind it, see usermod(8).

    `*`, `!`, `!!` and `!*` are what an account has that never had a password here, because it
    signs in with a key or a ticket. That is no lock.
    """
    behind = password.lstrip(b"!")
    return behind != password and _HASH.fullmatch(behind) is not None


def has_expired(entry: Shadow, today: int) -> bool:
    """Whether the account's own date has come, see chage(1); `today` in days since 1970, UTC."""
    return entry.expires != NO_DATE and today >= entry.expires
