"""Whether a password lets its owner in: what shadow(5) says of locks and expiries. Needs root.

Asked of the name service through getent, in one call; directories that keep this to themselves
(SSSD, Kerberos) give no answer, and then it only shows at sign-in.
"""

import time
from collections.abc import Iterable

from . import system

LOCKED, NO_PASSWORD = "locked", "no password"
EXPIRED, PASSWORD_EXPIRED = "expired", "password expired"
_DAY = 86400


def troubles(names: Iterable[str]) -> dict[str, str]:
    """Name: what is in the way, empty when nothing is. Who is not in it is not known here."""
    asked = list(names)
    if not asked:
        return {}
    output = system.try_run(["getent", "shadow", *asked])[1]
    fields = (line.split(":") for line in output.splitlines())
    today = int(time.time() // _DAY)
    return {entry[0]: _trouble(entry, today) for entry in fields if len(entry) == 9}


def _trouble(entry: list[str], today: int) -> str:
    """Of one line: name, hash, last change, minimum, maximum, warning, inactive, expiry, flag."""
    password, changed, maximum, expiry = entry[1], entry[2], entry[4], entry[7]
    if expiry and today >= int(expiry):
        return EXPIRED
    if password.startswith(("!", "*")):
        return LOCKED
    if not password:
        return NO_PASSWORD
    if changed == "0" or (changed and maximum and today > int(changed) + int(maximum)):
        return PASSWORD_EXPIRED
    return ""
