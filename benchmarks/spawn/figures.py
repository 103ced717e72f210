"""What was measured, what it means and whether it reaches the targets. Pure; nothing runs here."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

OURS, SUDO, ROOT = "unixspawner", "SudoSpawner", "root LocalProcess"
SIDES = (OURS, SUDO, ROOT)


@dataclass(frozen=True)
class Turn:
    """So many people started, visited and stopped at once. Seconds; MiB for each person."""

    start: float
    visit: float
    stop: float
    memory: float
    left: int  # processes that still ran when the hub said that all was stopped
    execs: tuple[float, ...]  # ms from request to exec; nobody but us logs it


@dataclass(frozen=True)
class SideRound:
    """One side in one round: one person, then everybody."""

    alone: Turn
    crowd: Turn


@dataclass(frozen=True)
class Bare:
    """What nobody can do without: seconds from the start of `python -c "import ..."`."""

    imported: float  # until the modules are there
    ended: float  # until the process is gone, which takes a fifth of the whole
    sudo: float  # ms for sudo and an interpreter that does nothing


@dataclass(frozen=True)
class Round:
    """One round over all sides, and the bare import by the interpreter of our servers."""

    sides: dict[str, SideRound]
    bare: Bare


@dataclass(frozen=True)
class Spread:
    """Median with the least and the greatest."""

    median: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Row:
    """One line of the table; `unit` is s, ms, MiB, processes or x."""

    title: str
    unit: str
    cells: dict[str, Spread]


@dataclass(frozen=True)
class Target:
    """What was to reach, and the median that was reached."""

    title: str
    bound: str
    reached: float
    unit: str
    met: bool


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def rows(rounds: Sequence[Round]) -> list[Row]:
    """The absolute figures."""

    def row(title: str, unit: str, figure: Callable[[SideRound], float]) -> Row:
        return Row(title, unit, {s: spread([figure(r.sides[s]) for r in rounds]) for s in SIDES})

    ours = [r.sides[OURS] for r in rounds]
    return [
        row("start to ready, alone", "s", lambda side: side.alone.start),
        row("ready to first page, alone", "s", lambda side: side.alone.visit),
        Row(
            "bare import, until it is done", "s", {OURS: spread([r.bare.imported for r in rounds])}
        ),
        Row("bare import, until exit", "s", {OURS: spread([r.bare.ended for r in rounds])}),
        Row("request to exec, alone", "ms", {OURS: spread(_execs(turn.alone for turn in ours))}),
        Row("request to exec, crowd", "ms", {OURS: spread(_execs(turn.crowd for turn in ours))}),
        Row("bare sudo and interpreter", "ms", {OURS: spread([r.bare.sudo for r in rounds])}),
        row("stop, alone", "s", lambda side: side.alone.stop),
        row("memory of one, alone", "MiB", lambda side: side.alone.memory),
        row("all at once until ready", "s", lambda side: side.crowd.start),
        row("all at once until stopped", "s", lambda side: side.crowd.stop),
        row("memory of each in a crowd", "MiB", lambda side: side.crowd.memory),
        row("left when one is stopped", "processes", lambda side: side.alone.left),
        row("left when all are stopped", "processes", lambda side: side.crowd.left),
    ]


def ratios(rounds: Sequence[Round]) -> list[Row]:
    """Pair by pair within each round: how many times as much as ours."""

    def row(title: str, figure: Callable[[SideRound], float]) -> Row:
        def pairs(other: str) -> list[float]:
            return [figure(r.sides[other]) / figure(r.sides[OURS]) for r in rounds]

        return Row(title, "x", {other: spread(pairs(other)) for other in (SUDO, ROOT)})

    done = [r.sides[OURS].alone.start / r.bare.imported for r in rounds]
    ended = [r.sides[OURS].alone.start / r.bare.ended for r in rounds]
    execs = [statistics.mean(r.sides[OURS].alone.execs) / r.bare.sudo for r in rounds]
    return [
        row("start to ready, alone", lambda side: side.alone.start),
        row("start to first page, alone", lambda side: side.alone.start + side.alone.visit),
        Row("ours to import, until done", "x", {OURS: spread(done)}),
        Row("ours to import, until exit", "x", {OURS: spread(ended)}),
        Row("request to exec to bare sudo", "x", {OURS: spread(execs)}),
        row("stop, alone", lambda side: side.alone.stop),
        row("memory of one, alone", lambda side: side.alone.memory),
        row("all at once until ready", lambda side: side.crowd.start),
        row("all at once until stopped", lambda side: side.crowd.stop),
        row("memory of each in a crowd", lambda side: side.crowd.memory),
    ]


def targets(rounds: Sequence[Round]) -> list[Target]:
    """Judged by medians: of single noisy rounds nothing follows."""
    absolute = {row.title: row.cells for row in rows(rounds)}
    relative = {row.title: row.cells for row in ratios(rounds)}

    def judge(title: str, cells: dict[str, Spread], side: str, bound: float, unit: str) -> Target:
        reached = cells[side].median
        more = unit == "x" and side != OURS
        met = reached >= bound if more else reached <= bound
        words = "at least" if more else "at most"
        return Target(title, f"{words} {bound:g} {unit}", reached, unit, met)

    exec_time = absolute["request to exec, alone"]
    alone, crowd = "memory of one, alone", "memory of each in a crowd"
    ready, many = "start to ready, alone", "all at once until ready"
    return [
        judge("start, SudoSpawner to ours", relative[ready], SUDO, 6, "x"),
        # The command as a whole, and the stricter reading: a ready server has not been taken apart.
        judge(
            "start, ours to import until exit",
            relative["ours to import, until exit"],
            OURS,
            1.4,
            "x",
        ),
        judge(
            "start, ours to import until done",
            relative["ours to import, until done"],
            OURS,
            1.4,
            "x",
        ),
        judge("request to exec", exec_time, OURS, 40, "ms"),
        # The same on any machine: 40 ms where sudo and interpreter take 10.5.
        judge("exec to bare sudo", relative["request to exec to bare sudo"], OURS, 3.8, "x"),
        judge("stop", absolute["stop, alone"], OURS, 0.3, "s"),
        judge("memory of one, sudo included", absolute[alone], OURS, 50, "MiB"),
        judge("memory of each in a crowd", absolute[crowd], OURS, 50, "MiB"),
        judge("all at once, SudoSpawner to ours", relative[many], SUDO, 6, "x"),
    ]


def _execs(turns: Iterable[Turn]) -> list[float]:
    return [taken for turn in turns for taken in turn.execs]


def report(rounds: Sequence[Round], users: int) -> str:
    """Everything as text for a terminal or a document."""
    lines = [f"{len(rounds)} rounds, {users} people at once; median (least to greatest)", ""]
    lines += _table("Measured", rows(rounds))
    lines += _table("Times ours, pair by pair", ratios(rounds))
    lines += ["Targets (medians)"]
    for target in targets(rounds):
        verdict = "reached" if target.met else "NOT REACHED"
        reached = f"{_number(target.reached, target.unit)} {target.unit}"
        lines.append(f"  {target.title:<40}{target.bound:<18}{reached:<12}{verdict}")
    return "\n".join([*lines, "", _CAUTION])


_CAUTION = (
    "Times on a shared machine are noisy: trust the ratios, which compare neighbours in time,\n"
    "and figures whose least and greatest lie close together."
)


def _table(title: str, table: Sequence[Row]) -> Iterator[str]:
    yield f"{title:<40}" + "".join(f"{side:<26}" for side in SIDES).rstrip()
    for row in table:
        cells = [_cell(row.cells.get(side), row.unit) for side in SIDES]
        yield (
            f"  {f'{row.title} [{row.unit}]':<38}"
            + "".join(f"{cell:<26}" for cell in cells).rstrip()
        )
    yield ""


def _cell(value: Spread | None, unit: str) -> str:
    if value is None:
        return "-"
    median, least, greatest = (
        _number(number, unit) for number in (value.median, value.least, value.greatest)
    )
    return f"{median} ({least} to {greatest})"


def _number(value: float, unit: str) -> str:
    digits = {"s": 3, "ms": 1, "MiB": 1, "x": 2, "processes": 0}[unit]
    return f"{value:.{digits}f}"


def as_json(rounds: Sequence[Round], users: int) -> dict[str, object]:
    """Every single measurement, and what was made of it."""
    return {
        "users": users,
        "rounds": [asdict(r) for r in rounds],
        "measured": [asdict(row) for row in rows(rounds)],
        "ratios": [asdict(row) for row in ratios(rounds)],
        "targets": [asdict(target) for target in targets(rounds)],
    }
