"""What was measured, what it means and whether it reaches the targets. Pure; nothing runs here."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DIRECT, OURS, CHP, SERVER_PROXY = "direct", "unixspawner", "CHP", "jupyter-server-proxy"
SIDES = (DIRECT, OURS, CHP, SERVER_PROXY)


@dataclass(frozen=True)
class Turn:
    """One side in one round."""

    requests: float  # per second, 1 KiB answers
    processor: float  # microseconds of the side's own processor time for each of them
    latency: float  # ms, median at one connection
    messages: float  # WebSocket round trips per second
    download: float  # MiB/s; 0 where the side cannot
    upload: float  # MiB/s; 0 where the side cannot
    growth: float  # MiB that the side's memory grew at most during both
    memory: float  # MiB (PSS) before them


Round = dict[str, Turn]


@dataclass(frozen=True)
class Target:
    title: str
    bound: str
    reached: float
    met: bool


def table(rounds: Sequence[Round]) -> str:
    """Medians, with the least and the greatest."""
    rows: list[tuple[str, Callable[[Turn], float]]] = [
        ("requests per second", lambda turn: turn.requests),
        ("processor time each, us", lambda turn: turn.processor),
        ("latency, one connection, ms", lambda turn: turn.latency),
        ("WebSocket round trips per second", lambda turn: turn.messages),
        ("download, MiB/s", lambda turn: turn.download),
        ("upload, MiB/s", lambda turn: turn.upload),
        ("memory before bodies, MiB", lambda turn: turn.memory),
        ("growth during bodies, MiB", lambda turn: turn.growth),
    ]
    lines = [f"{'':34}" + "".join(f"{name:>27}" for name in SIDES)]
    for title, figure in rows:
        cells = [_cell([figure(one[name]) for one in rounds]) for name in SIDES]
        lines.append(f"{title:34}" + "".join(f"{cell:>27}" for cell in cells))
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    digits = 0 if max(values) >= 100 else 2
    least, middle, most = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def targets(rounds: Sequence[Round]) -> list[Target]:
    """Quotients within one round, then their median: what disturbs a round disturbs all sides."""

    def ratio(figure: Callable[[Turn], float], other: str) -> float:
        return statistics.median(
            figure(one[OURS]) / max(figure(one[other]), 1e-9) for one in rounds
        )

    added = statistics.median(one[OURS].latency - one[DIRECT].latency for one in rounds)
    growth = max(one[OURS].growth for one in rounds)
    memory = max(one[OURS].memory for one in rounds)
    return [
        _at_least("requests, times CHP", ratio(lambda turn: turn.requests, CHP), 1.0),
        _at_least(
            "requests, times jupyter-server-proxy",
            ratio(lambda turn: turn.requests, SERVER_PROXY),
            5.0,
        ),
        _below("added latency, ms", added, 0.4),
        _at_least(
            "WebSocket round trips, times jupyter-server-proxy",
            ratio(lambda turn: turn.messages, SERVER_PROXY),
            1.5,
        ),
        _at_least("download, times direct", ratio(lambda turn: turn.download, DIRECT), 0.5),
        _at_least("upload, times direct", ratio(lambda turn: turn.upload, DIRECT), 0.5),
        _below("growth of memory, MiB", growth, 20.0),
        _below("memory of one server, MiB", memory, 46.0),
    ]


def _at_least(title: str, reached: float, bound: float) -> Target:
    return Target(title, f"at least {bound}", reached, reached >= bound)


def _below(title: str, reached: float, bound: float) -> Target:
    return Target(title, f"under {bound}", reached, reached < bound)


def judgement(rounds: Sequence[Round]) -> str:
    return "\n".join(
        f"{'reached' if one.met else 'MISSED ':8} {one.title:52} {one.reached:8.2f}   ({one.bound})"
        for one in targets(rounds)
    )
