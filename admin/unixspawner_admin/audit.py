"""Notes in the audit stream what an administrator did with this command. Run by root.

The lines look like the hub's own (spawner/unixspawner/audit.py), always as text: that the hub
writes JSON is in its configuration, which this command does not run.
"""

import json
import os
import pwd
import re
import syslog
from typing import Literal

TAG = "unixspawner-audit"
LONGEST = 96  # characters of one value
_PLAIN = re.compile(r"[A-Za-z0-9_.@:/+-]{1,96}", re.ASCII)


def record(
    event: Literal["stop", "drain", "access"],
    *,
    whom: str = "",
    outcome: Literal["ok", "failed"] = "ok",
    reason: str,
) -> None:
    """Write one line. A system log that is down keeps no administrator from his work."""
    fields = {"event": event, "who": administrator(), "whom": whom, "outcome": outcome}
    fields["reason"] = reason
    syslog.openlog(TAG, syslog.LOG_PID, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, line({k: v for k, v in fields.items() if v}))
    syslog.closelog()


def line(fields: dict[str, str]) -> str:
    return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value[:LONGEST])


def administrator() -> str:
    """Whoever became root, as the kernel remembers the sign-in or as sudo says; else root."""
    for uid in (_login_uid(), os.environ.get("SUDO_UID", "")):
        try:
            return pwd.getpwuid(int(uid)).pw_name
        except (ValueError, KeyError, OverflowError):
            continue
    return "root"


def _login_uid() -> str:
    """See pam_loginuid(8); 4294967295 where no sign-in was counted."""
    try:
        with open("/proc/self/loginuid", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
