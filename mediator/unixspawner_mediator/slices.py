"""Puts limits on all that an account runs. Used by `session-limits` alone, as root.

systemd keeps everything of one account, ssh sessions, servers and user services, in one slice:
user-<uid>.slice, and in it each session in a scope of its own. Their properties are root's, so
nobody below can loosen them.
https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html
"""

import os
import re
import select
import subprocess
import time
from collections.abc import Mapping

from .limits import PROFILE_VARIABLE, PROPERTIES

SYSTEMCTL = "/usr/bin/systemctl"
DROP_INS = "/run/systemd/system.control"  # what set-property --runtime writes; gone after a reboot
_SCOPE = r"^\d+:[^:]*:/user\.slice/user-{uid}\.slice/(session-[0-9a-z]+\.scope)$"
PATIENCE = 10.0  # seconds; a login does not wait for a systemd that hangs
LOOK = 20  # milliseconds between two looks whether there is a session


class SliceError(Exception):
    """A limit could not be set; the text says why."""


def asked_profile() -> str:
    """The profile that the hub wants for this session, "" for none.

    It is in the environment of the sudo that runs us, the one thing of the hub's that is there
    before the session is. Whoever else sets it narrows a session of their own.
    """
    with open(f"/proc/{os.getppid()}/environ", "rb") as file:
        variables = file.read(64 * 1024).split(b"\0")
    prefix = PROFILE_VARIABLE.encode() + b"="
    values = [each[len(prefix) :] for each in variables if each.startswith(prefix)]
    return values[0].decode("utf-8", "replace") if values else ""


def narrow_session(leader: int, uid: int, wanted: Mapping[str, str]) -> None:
    """For the session of that process, as soon as there is one, until it ends.

    Raises:
        SliceError: there is none in time, or systemd did not do it.
    """
    alive = select.poll()
    alive.register(os.pidfd_open(leader), select.POLLIN)
    end = time.monotonic() + PATIENCE
    scope = _scope(leader, uid)
    while not scope and time.monotonic() < end and not alive.poll(LOOK):
        scope = _scope(leader, uid)
    if not scope:
        raise SliceError("systemd has made no session: is pam_systemd in the stack?")
    _set_properties(scope, wanted)


def _scope(pid: int, uid: int) -> str:
    with open(f"/proc/{pid}/cgroup", encoding="ascii", errors="replace") as file:
        found = re.search(_SCOPE.format(uid=uid), file.read(), re.MULTILINE | re.ASCII)
    return found[1] if found else ""


def set_limits(uid: int, wanted: Mapping[str, str]) -> None:
    """For all that this account runs now, and runs later until the machine restarts.

    Raises:
        SliceError: systemd did not do it.
    """
    unit = f"user-{uid}.slice"
    if _forget(unit, wanted):
        _systemctl("daemon-reload")
    _set_properties(unit, wanted)


def _set_properties(unit: str, wanted: Mapping[str, str]) -> None:
    assignments = [f"{name}={value}" for name, value in sorted(wanted.items())]
    if assignments:
        _systemctl("set-property", "--runtime", "--", unit, *assignments)


def _forget(unit: str, wanted: Mapping[str, str]) -> bool:
    """Takes back what limits.toml said once and does not say any more: the machine's own holds."""
    forgotten = False
    for name in set(PROPERTIES) - wanted.keys():
        try:
            os.unlink(f"{DROP_INS}/{unit}.d/50-{name}.conf")
            forgotten = True
        except FileNotFoundError:
            continue
    return forgotten


def _systemctl(*words: str) -> None:
    try:
        done = subprocess.run(
            [SYSTEMCTL, "--no-ask-password", "--quiet", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SliceError(str(error)) from error
    if done.returncode != 0:
        raise SliceError(f"systemctl {words[0]}: {done.stderr.decode(errors='replace').strip()}")


def systemd_runs() -> bool:
    """sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")
