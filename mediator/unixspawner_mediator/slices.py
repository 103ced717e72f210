"""Puts limits on all that an account runs. Used by `session-limits` alone, as root.

systemd keeps everything of one account, ssh sessions, servers and user services, in one slice:
user-<uid>.slice. Its properties are root's, so nobody below it can loosen them.
https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html
"""

import os
import subprocess
from collections.abc import Mapping

from .limits import PROPERTIES

SYSTEMCTL = "/usr/bin/systemctl"
DROP_INS = "/run/systemd/system.control"  # what set-property --runtime writes; gone after a reboot
PATIENCE = 10.0  # seconds; a login does not wait for a systemd that hangs


class SliceError(Exception):
    """A limit could not be set; the text says why."""


def set_limits(uid: int, wanted: Mapping[str, str]) -> None:
    """For all that this account runs now, and runs later until the machine restarts.

    Raises:
        SliceError: systemd did not do it.
    """
    unit = f"user-{uid}.slice"
    if _forget(unit, wanted):
        _systemctl("daemon-reload")
    if wanted:
        assignments = [f"{name}={value}" for name, value in sorted(wanted.items())]
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
