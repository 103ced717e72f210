"""The clock: whether it is kept right, and whether it has jumped since the hub was started.

Sessions and tokens have times in them: a clock that jumps ahead signs people out, one that jumps
back keeps what should have expired.
"""

import ctypes
import os
import time
from collections.abc import Iterator

from .. import paths, release, system
from ..findings import Finding, judge
from ..options import Options

_UNSYNCHRONISED = 0x40  # STA_UNSYNC, see adjtimex(2)
_JUMP = 120.0  # seconds: more than a hub takes to make its socket
_TICKS = os.sysconf("SC_CLK_TCK")


class _Timex(ctypes.Structure):
    """struct timex up to what we read, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("maximum_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


def check(options: Options) -> Iterator[Finding]:
    yield _synchronised()
    yield from _jumped(options)


def clock_status() -> int:
    """The kernel's flags; only read, since nothing is set in `modes`."""
    answer = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(answer)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(answer.status)


def _synchronised() -> Finding:
    cure = "timedatectl set-ntp true   # or install chrony"
    right = not clock_status() & _UNSYNCHRONISED
    wrong = "nothing keeps the clock right (the kernel knows of no time server)"
    return judge(right, "the clock is kept right by a time server", cure, "warning", wrong=wrong)


def _jumped(options: Options) -> Iterator[Finding]:
    """The hub's socket has the time of day in it, its process the time since boot."""
    status = paths.HUB_SOCKET.stat() if paths.HUB_SOCKET.exists() else None
    started = _start_of_the_hub(options)
    if status is None or started is None:
        return
    off = status.st_mtime - started
    wrong = f"the clock has jumped by {-off:.0f} seconds since the hub was started"
    text = "the clock has not jumped since the hub was started"
    yield judge(abs(off) < _JUMP, text, release.restart(), "warning", wrong=wrong)


def _start_of_the_hub(options: Options) -> float | None:
    """By today's clock: so long ago, as the kernel counts, which no clock can change."""
    for pid in system.processes_of(options.hub_account):
        if str(paths.HUB_CONFIG).encode() in system.read_process(pid, "cmdline"):
            fields = system.read_process(pid, "stat").rpartition(b")")[2].split()
            age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / _TICKS
            return time.time() - age
    return None
