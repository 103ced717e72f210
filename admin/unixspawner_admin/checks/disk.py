"""Room for what is written: the state, the logs, the software, the sockets, temporary files."""

import os
from collections.abc import Iterator
from pathlib import Path

from .. import paths, wording
from ..findings import Finding
from ..options import Options

_PLACES = (paths.STATE, paths.LOGS, paths.OPT, paths.RUN, Path("/tmp"), Path("/var/log"))  # noqa: S108
_LITTLE = 0.05  # of all
_ENOUGH = 2 * 2**30  # octets: then the share does not matter
_NOTHING = 2 * 2**20  # octets: a database cannot be written any more
_FEW = 1000  # inodes


def check(_options: Options) -> Iterator[Finding]:
    """Each file system once, by the first of our places on it."""
    seen: set[int] = set()
    for place in _PLACES:
        if not place.exists() or (device := place.stat().st_dev) in seen:
            continue
        seen.add(device)
        yield _room(place)


def _room(place: Path) -> Finding:
    status = os.statvfs(place)
    free, size = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    said = f"{wording.octets(free)} of {wording.octets(size)} free for {place}"
    cure = f"du -xh --max-depth=2 {place} | sort -h | tail"
    if free < _NOTHING:
        return Finding("failure", f"the disk is full: {said}", cure)
    if status.f_files and status.f_favail < _FEW:
        level = "failure" if status.f_favail == 0 else "warning"
        text = f"{status.f_favail} of {status.f_files} inodes free for {place}"
        return Finding(level, text, f"du --inodes -x --max-depth=2 {place} | sort -n | tail")
    if free < _ENOUGH and free < _LITTLE * size:
        return Finding("warning", f"little room is left: {said}", cure)
    return Finding("ok", said)
