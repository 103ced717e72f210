"""How much a person may use, as the kernel holds to it: limits of the person's slice.

Not what limits.toml says, but what has come of it. Everybody may read these files.
https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from dataclasses import dataclass
from pathlib import Path

from . import system

USERS = Path("/sys/fs/cgroup/user.slice")


@dataclass(frozen=True)
class Bounds:
    """`memory` in octets, `cpu` in processors, `tasks` processes and threads. None: no limit."""

    memory: int | None = None
    cpu: float | None = None
    tasks: int | None = None


NONE = Bounds()


def bounds_of(uid: int, users: Path = USERS) -> Bounds:
    """Of everything that the account runs, ssh and web together."""
    group = users / f"user-{uid}.slice"
    return Bounds(
        memory=_number(group / "memory.max"),
        cpu=_processors(group / "cpu.max"),
        tasks=_number(group / "pids.max"),
    )


def _number(path: Path) -> int | None:
    text = (system.read_text(path) or "").strip()
    return int(text) if text.isdecimal() else None


def _processors(path: Path) -> float | None:
    """ "150000 100000" is one and a half."""
    quota, _, period = (system.read_text(path) or "").strip().partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(period):
        return int(quota) / int(period)
    return None
