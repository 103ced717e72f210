"""What was measured, what it means and whether it reaches the targets. Pure; nothing runs here."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WHOLE_OURS, WHOLE_STOCK = "unixspawner, whole way", "stock, whole way"
DIRECT, OURS, CHP, SERVER_PROXY = "direct", "unixspawner", "CHP", "jupyter-server-proxy"
WHOLE = (WHOLE_OURS, WHOLE_STOCK)
ALONE = (DIRECT, OURS, CHP, SERVER_PROXY)
SIDES = (*WHOLE, *ALONE)
# These keep whole bodies in memory and refuse those of over 100 MB.
COLLECTING = frozenset({WHOLE_STOCK, SERVER_PROXY})


@dataclass(frozen=True)
class Turn:
    """One side in one round."""

    requests: float  # per second, 1 KiB answers
    processor: float  # microseconds of the side's own processor time for each of them
    latency: float  # ms, median at one connection
    messages: float  # WebSocket round trips per second
    download: float  # MiB/s
    upload: float  # MiB/s
    growth: float  # MiB that the side's memory grew at most during both


Round = dict[str, Turn]


@dataclass(frozen=True)
class Weight:
    """MiB (PSS) of a fresh server of ours."""

    idle: float
    used: float  # after requests over HTTP
    websocket: float  # with a WebSocket open as well


@dataclass(frozen=True)
class Target:
    title: str
    bound: str
    reached: float
    met: bool


def report(rounds: Sequence[Round], weights: Sequence[Weight]) -> str:
    """The whole way first: it is what people have before them."""
    parts = [
        "The whole way: browser, public proxy, server, application\n",
        _table(rounds, WHOLE),
        _judgement(whole_targets(rounds)),
        "\nThe gateway alone, beside other proxies of one application\n",
        _table(rounds, ALONE),
        _judgement(targets(rounds)),
    ]
    if weights:
        parts += ["\nMemory of one server of ours, MiB (PSS)\n", _weights(weights)]
        parts.append(_judgement(weight_targets(weights)))
    return "\n".join(parts)


def missed(rounds: Sequence[Round], weights: Sequence[Weight]) -> list[Target]:
    """All of them on one list, in the order of the report."""
    every = whole_targets(rounds) + targets(rounds) + (weight_targets(weights) if weights else [])
    return [one for one in every if not one.met]


def _table(rounds: Sequence[Round], sides: Sequence[str]) -> str:
    """Medians, with the least and the greatest."""
    rows: list[tuple[str, Callable[[Turn], float]]] = [
        ("requests per second", lambda turn: turn.requests),
        ("processor time each, us", lambda turn: turn.processor),
        ("latency, one connection, ms", lambda turn: turn.latency),
        ("WebSocket round trips per second", lambda turn: turn.messages),
        ("download, MiB/s", lambda turn: turn.download),
        ("upload, MiB/s", lambda turn: turn.upload),
        ("growth during bodies, MiB", lambda turn: turn.growth),
    ]
    lines = [f"{'':34}" + "".join(f"{name:>27}" for name in sides)]
    for title, figure in rows:
        cells = [_cell([figure(one[name]) for one in rounds]) for name in sides]
        lines.append(f"{title:34}" + "".join(f"{cell:>27}" for cell in cells))
    return "\n".join(lines)


def _weights(weights: Sequence[Weight]) -> str:
    rows = [("idle", "idle"), ("after requests", "used"), ("with a WebSocket open", "websocket")]
    return "\n".join(
        f"{title:34}{_cell([getattr(one, name) for one in weights]):>27}" for title, name in rows
    )


def _cell(values: Sequence[float]) -> str:
    digits = 0 if max(values) >= 100 else 2
    least, middle, most = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def _ratio(
    rounds: Sequence[Round], figure: Callable[[Turn], float], side: str, other: str
) -> float:
    """Quotients within one round, then their median: what disturbs a round disturbs all sides."""
    return statistics.median(figure(one[side]) / max(figure(one[other]), 1e-9) for one in rounds)


def whole_targets(rounds: Sequence[Round]) -> list[Target]:
    requests = _ratio(rounds, lambda turn: turn.requests, WHOLE_OURS, WHOLE_STOCK)
    messages = _ratio(rounds, lambda turn: turn.messages, WHOLE_OURS, WHOLE_STOCK)
    return [
        _at_least("requests, times stock", requests, 2.5),
        Target("WebSocket round trips, times stock", "no target", messages, True),
    ]


def targets(rounds: Sequence[Round]) -> list[Target]:
    def ratio(figure: Callable[[Turn], float], other: str) -> float:
        return _ratio(rounds, figure, OURS, other)

    added = statistics.median(one[OURS].latency - one[DIRECT].latency for one in rounds)
    growth = max(one[OURS].growth for one in rounds)
    return [
        _at_least(
            "requests, times jupyter-server-proxy",
            ratio(lambda turn: turn.requests, SERVER_PROXY),
            5.0,
        ),
        _at_least("requests, times CHP", ratio(lambda turn: turn.requests, CHP), 1.0),
        _below("added latency, ms", added, 0.4),
        _at_least(
            "WebSocket round trips, times jupyter-server-proxy",
            ratio(lambda turn: turn.messages, SERVER_PROXY),
            1.5,
        ),
        _at_least("download, times direct", ratio(lambda turn: turn.download, DIRECT), 0.5),
        _at_least("upload, times direct", ratio(lambda turn: turn.upload, DIRECT), 0.5),
        _below("growth of memory during bodies, MiB", growth, 20.0),
    ]


def weight_targets(weights: Sequence[Weight]) -> list[Target]:
    return [_below("after requests, MiB", statistics.median(one.used for one in weights), 46.0)]


def _at_least(title: str, reached: float, bound: float) -> Target:
    return Target(title, f"at least {bound}", reached, reached >= bound)


def _below(title: str, reached: float, bound: float) -> Target:
    return Target(title, f"under {bound}", reached, reached < bound)


def _judgement(reached: Sequence[Target]) -> str:
    return "\n".join(
        f"{'reached' if one.met else 'MISSED ':8} {one.title:52} {one.reached:8.2f}   ({one.bound})"
        for one in reached
    )
