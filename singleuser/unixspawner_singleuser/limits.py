"""What this server and everything in it may use at most, as far as the kernel says.

Run as the person signed in. Reads /proc and /sys, which never hang; changes nothing.
https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CONTROL_GROUPS = Path("/sys/fs/cgroup")

USUAL_WEIGHT = "100"
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class Limit:
    """`amount` is a text for people, with what is in use where the kernel counts it."""

    name: str
    amount: str


def current_limits(proc: Path = PROC, groups: Path = CONTROL_GROUPS) -> tuple[Limit, ...]:
    """Of all of this server together, then of each of its processes."""
    levels = group_levels(proc, groups)
    together = [
        _counted("Memory", levels, "memory", size),
        _processors(levels),
        _counted("Processes and threads", levels, "pids", str),
        _disk_share(levels),
    ]
    return (*(limit for limit in together if limit is not None), *resource_limits())


def group_levels(proc: Path, groups: Path) -> tuple[Path, ...]:
    """The control group of this process, then those around it. The narrowest limit holds."""
    path = _own_group(proc)
    if path is None:
        return ()
    parts = [part for part in path.split("/") if part]
    if ".." in parts:  # outside of what this namespace shows
        parts = []
    return tuple(groups.joinpath(*parts[:count]) for count in range(len(parts), -1, -1))


def resource_limits() -> list[Limit]:
    """The soft ones: those that are felt."""
    found = []
    for name, number, show in (
        ("Processes of the account", resource.RLIMIT_NPROC, str),
        ("Open files, each process", resource.RLIMIT_NOFILE, str),
        ("Address space, each process", resource.RLIMIT_AS, size),
        ("Size of a file", resource.RLIMIT_FSIZE, size),
    ):
        soft, _ = resource.getrlimit(number)
        if soft != resource.RLIM_INFINITY:
            found.append(Limit(name, show(soft)))
    return found


def size(number: float) -> str:
    """1536 is "1.5 KiB"."""
    unit = 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.1f}".removesuffix(".0") + f" {_UNITS[unit]}"


def _own_group(proc: Path) -> str | None:
    """The path of version 2; on a machine with version 1 it is there too, without limits."""
    lines = (read_text(proc / "self/cgroup") or "").splitlines()
    return next((line.removeprefix("0::") for line in lines if line.startswith("0::/")), None)


def _counted(
    name: str, levels: tuple[Path, ...], kind: str, show: Callable[[int], str]
) -> Limit | None:
    allowed = [
        (limit, level)
        for level in levels
        if (limit := read_number(level / f"{kind}.max")) is not None
    ]
    if not allowed:
        return None
    limit, level = min(allowed, key=lambda each: each[0])
    used = read_number(level / f"{kind}.current")
    in_use = f", {show(used)} in use" if used is not None else ""
    return Limit(name, show(limit) + in_use)


def _processors(levels: tuple[Path, ...]) -> Limit | None:
    shares = [share for level in levels for share in _share(level)]
    return Limit("Processors", f"{min(shares):.2f}".rstrip("0").rstrip(".")) if shares else None


def _share(level: Path) -> Iterator[float]:
    """Of processor time: "150000 100000" is one and a half processors, "max …" no limit."""
    quota, _, period = (read_text(level / "cpu.max") or "").partition(" ")
    if quota.isdecimal() and period.strip().isdecimal() and int(period) > 0:
        yield int(quota) / int(period)


def _disk_share(levels: tuple[Path, ...]) -> Limit | None:
    """Of the outermost group that differs: what it gets is shared out below it."""
    for level in reversed(levels):
        words, _, _ = (read_text(level / "io.weight") or "").partition("\n")  # disk by disk below
        weight = words.removeprefix("default ")
        if weight.isdecimal() and weight != USUAL_WEIGHT:
            return Limit("Share of a busy disk", f"{weight}, where {USUAL_WEIGHT} is usual")
    return None


def read_number(path: Path) -> int | None:
    """None for "max", for no such file, and for what is no number."""
    value = (read_text(path) or "").strip()
    return int(value) if value.isdecimal() else None


def read_text(path: Path) -> str | None:
    try:
        return path.read_text("ascii", "replace")[:4096]
    except OSError:
        return None
