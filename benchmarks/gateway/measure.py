"""One round: every side in turn, so that a busy moment of the machine meets all of them alike."""

import os
import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BenchmarkError
from .figures import COLLECTING, SIDES, Round, Turn
from .load import MEBIBYTE, small_requests
from .sides import CLONE, Side

_RSS = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)
_TICK = os.sysconf("SC_CLK_TCK")
LARGEST_COLLECTED = 64 * MEBIBYTE


@dataclass(frozen=True)
class Effort:
    seconds: int
    connections: int
    body: int  # bytes


def one_round(number: int, sides: dict[str, Side], python: str, effort: Effort) -> Round:
    """The sides take turns in being first, kind by kind."""
    turn = number % len(SIDES)
    order = [*SIDES[turn:], *SIDES[:turn]]
    small = {name: _small(sides[name], effort) for name in order}
    late = {name: _ask(sides[name], python, "latency", effort.seconds) for name in order}
    talk = {name: _ask(sides[name], python, "messages", effort.seconds) for name in order}
    bodies = {name: _bodies(sides[name], python, effort) for name in order}
    return {name: Turn(*small[name], late[name], talk[name], *bodies[name]) for name in SIDES}


def _small(side: Side, effort: Effort) -> tuple[float, float]:
    url = f"http://127.0.0.1:{side.port}{side.path}x"
    before = _processor_seconds(side.pids)
    count, rate = small_requests(url, side.cookie, effort.connections, effort.seconds)
    return rate, (_processor_seconds(side.pids) - before) * 1e6 / max(count, 1)


def _bodies(side: Side, python: str, effort: Effort) -> tuple[float, float, float]:
    size = effort.body
    if side.name in COLLECTING:
        size = min(size, LARGEST_COLLECTED)
    with _Watched(side.pids) as watched:
        down = _ask(side, python, "download", size)
        up = _ask(side, python, "upload", size)
    return down, up, watched.growth


def _ask(side: Side, python: str, kind: str, amount: int) -> float:
    command = [python, "-B", "-m", "gateway.load", kind, str(side.port), side.path, side.cookie]
    environment = {"PYTHONPATH": str(CLONE / "benchmarks"), "PATH": os.defpath}
    done = subprocess.run(
        [*command, str(amount)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"{side.name}, {kind}: {done.stderr.strip()[-500:]}")
    return float(done.stdout)


class _Watched:
    """The most that a side's processes grew together while they were watched, in MiB."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._before = self._most = _resident(pids)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "_Watched":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def growth(self) -> float:
        return (self._most - self._before) / 1024

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._most = max(self._most, _resident(self._pids))


def _resident(pids: Sequence[int]) -> int:
    """In KiB."""
    texts = [Path(f"/proc/{pid}/status").read_text(encoding="ascii") for pid in pids]
    return sum(int(found[1]) for found in map(_RSS.search, texts) if found)


def _processor_seconds(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        fields = stat.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICK
