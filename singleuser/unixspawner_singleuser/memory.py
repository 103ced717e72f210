"""Notices that the kernel has ended something of this person because memory ran out.

Run as the person signed in. The kernel counts these ends for the control group of all that the
person runs, whatever the way: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.events).
Where systemd gives nobody such a group there is nothing to be known.
"""

from __future__ import annotations

import os
from pathlib import Path

from .limits import CONTROL_GROUPS, PROC, group_levels, size


class MemoryEnds:
    """Those since this object was made."""

    def __init__(self, proc: Path = PROC, groups: Path = CONTROL_GROUPS) -> None:
        name = f"user-{os.getuid()}.slice"
        levels = group_levels(proc, groups)
        self._group = next((level for level in levels if level.name == name), None)
        self._before = self._so_far()

    @property
    def count(self) -> int:
        return self._so_far() - self._before

    @property
    def reason(self) -> str:
        """How a sentence goes on that begins with "was ended because"."""
        limit = self._read("memory.max").strip()
        if limit.isdecimal():
            return f"the {size(int(limit))} of memory that you may use were used up"
        return "this machine had no memory left"

    def _so_far(self) -> int:
        for line in self._read("memory.events").splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill" and number.isdecimal():
                return int(number)
        return 0

    def _read(self, name: str) -> str:
        if self._group is None:
            return ""
        try:
            return (self._group / name).read_text("ascii", "replace")[:4096]
        except OSError:
            return ""
