"""Notices that the kernel has ended something of this person because memory ran out.

Run as the person signed in. The kernel counts these ends for the control group of all that the
person runs, whatever the way: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.events).
Where systemd gives nobody such a group there is nothing to be known.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from .limits import CONTROL_GROUPS, PROC, group_levels, read_number, read_text, size


class MemoryEnds:
    """Those since this object was made."""

    def __init__(self, proc: Path = PROC, groups: Path = CONTROL_GROUPS) -> None:
        name = f"user-{os.getuid()}.slice"
        levels = group_levels(proc, groups)
        self._group = next((level for level in levels if level.name == name), None)
        self._session = next((level for level in levels if level.suffix == ".scope"), None)
        self._before = self._so_far()

    @property
    def count(self) -> int:
        return self._so_far() - self._before

    @property
    def reason(self) -> str:
        """How a sentence goes on that begins with "was ended because"."""
        bound, chosen = self._limit(self._group), self._limit(self._session)
        if min(bound, chosen) == math.inf:
            return "this machine had no memory left"
        if chosen < bound:
            return f"the {size(chosen)} of memory that were chosen for this server were used up"
        return f"the {size(bound)} of memory that you may use were used up"

    def _limit(self, group: Path | None) -> float:
        limit = read_number(group / "memory.max") if group else None
        return math.inf if limit is None else limit

    def _so_far(self) -> int:
        events = read_text(self._group / "memory.events") if self._group else None
        for line in (events or "").splitlines():
            name, _, ends = line.partition(" ")
            if name == "oom_kill" and ends.isdecimal():
                return int(ends)
        return 0
