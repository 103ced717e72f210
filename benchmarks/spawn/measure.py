"""One round: every side in turn, first one person alone, then everybody at once; run by root."""

import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from statistics import mean, median

from . import system
from .errors import BenchmarkError
from .figures import OURS, SIDES, Bare, Round, SideRound, Turn
from .hubs import Side
from .installation import Installation
from .machine import Person

_IMPORT = "import fastapi, uvicorn, httpx; print('.', end='', flush=True)"
_REPEATS = 5
_LINGER = 20.0  # seconds that processes may take to end after the stop


def one_round(
    number: int, sides: dict[str, Side], people: Sequence[Person], installed: Installation
) -> Round:
    """The sides take turns in being first."""
    turn = number % len(SIDES)
    order = [*SIDES[turn:], *SIDES[:turn]]
    alone, bare = {}, []
    for name in order:
        if name == OURS:  # right before and right after what it is compared with
            bare.append(_bare_import(installed, people[0]))
        alone[name] = _turn(sides[name], people[:1])
        if name == OURS:
            bare.append(_bare_import(installed, people[0]))
    crowd = {name: _turn(sides[name], people) for name in order}
    return Round({name: SideRound(alone[name], crowd[name]) for name in SIDES}, _mean(bare))


def _turn(side: Side, people: Sequence[Person]) -> Turn:
    """Start, visit, weigh and stop; memory is per person."""
    offset = side.logged()
    start = _at_once(side.hub.start, people)
    visit = _at_once(side.hub.visit, people)
    memory = sum(system.pss_with_sudo(person.uid) for person in people) / len(people)
    stop = _at_once(side.hub.stop, people)
    left = sum(len(system.processes_of(person.uid)) for person in people)
    for person in people:  # whoever comes next must not pay for what lingers
        system.wait_for_end(person.uid, _LINGER)
        system.end_processes_of(person.uid)
    return Turn(start, visit, stop, memory, left, side.execs(offset))


def _at_once(action: Callable[[str], object], people: Sequence[Person]) -> float:
    """Seconds until it is done for everybody."""
    with ThreadPoolExecutor(len(people)) as pool:
        begun = time.perf_counter()
        for done in [pool.submit(action, person.name) for person in people]:
            done.result()
        return time.perf_counter() - begun


def _bare_import(installed: Installation, person: Person) -> Bare:
    """The interpreter of our servers, with no more than its libraries."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [installed.python, "-I", "-c", _IMPORT],
        stdout=subprocess.PIPE,
        user=person.uid,
        group=person.gid,
        extra_groups=[],
        env={},
        cwd="/",
    )
    with process:
        said = process.stdout.read(1) if process.stdout else b""
        imported = time.perf_counter() - begun
    if said != b"." or process.returncode:
        raise BenchmarkError(f"{installed.python} cannot import what the server needs.")
    return Bare(imported, time.perf_counter() - begun, _bare_sudo(person))


def _bare_sudo(person: Person) -> float:
    """sudo and the interpreter of the mediator, which does nothing."""
    command = ["sudo", "-n", "-u", person.name, "/usr/bin/python3", "-IS", "-c", "pass"]
    taken = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, cwd="/")
        taken.append(1000 * (time.perf_counter() - begun))
    return median(taken)


def _mean(samples: Sequence[Bare]) -> Bare:
    return Bare(*(mean(values) for values in zip(*map(astuple, samples), strict=True)))
