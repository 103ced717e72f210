"""Whether the gateway's benchmark judges its figures as it says: at the bound, and just past it."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace

import pytest
from benchmarks.gateway import __main__ as command
from benchmarks.gateway.figures import (
    CHP,
    DIRECT,
    OURS,
    SERVER_PROXY,
    WHOLE_OURS,
    WHOLE_STOCK,
    Round,
    Turn,
    Weight,
    missed,
    report,
    targets,
    weight_targets,
    whole_targets,
)

PLAIN = Turn(1000.0, 0.0, 0.5, 1000.0, 1000.0, 1000.0, 0.0)
# Every target is just met.
MEETS: Round = {
    WHOLE_OURS: replace(PLAIN, requests=2500.0),
    WHOLE_STOCK: PLAIN,
    DIRECT: PLAIN,
    OURS: Turn(1000.0, 0.0, 0.899, 1500.0, 500.0, 500.0, 19.9),
    CHP: PLAIN,
    SERVER_PROXY: replace(PLAIN, requests=200.0),
}
LIGHT = Weight(idle=40.0, used=45.9, websocket=50.0)
MEMORY = "after requests, MiB"
# Each by one figure of one side.
JUST_MISSED: dict[str, tuple[str, dict[str, float]]] = {
    "requests, times stock": (WHOLE_OURS, {"requests": 2499.0}),
    "requests, times jupyter-server-proxy": (SERVER_PROXY, {"requests": 200.1}),
    "requests, times CHP": (CHP, {"requests": 1001.0}),
    "added latency, ms": (OURS, {"latency": 0.9}),
    "WebSocket round trips, times jupyter-server-proxy": (OURS, {"messages": 1499.0}),
    "download, times direct": (OURS, {"download": 499.0}),
    "upload, times direct": (OURS, {"upload": 499.0}),
    "growth of memory during bodies, MiB": (OURS, {"growth": 20.0}),
}


def changed(side: str, figures: dict[str, float]) -> Round:
    return MEETS | {side: replace(MEETS[side], **figures)}


def titles(rounds: list[Round], weights: list[Weight]) -> list[str]:
    return [one.title for one in missed(rounds, weights)]


def test_just_reached_is_reached() -> None:
    assert titles([MEETS], [LIGHT]) == []
    assert "MISSED" not in report([MEETS], [LIGHT])


@pytest.mark.parametrize("title", JUST_MISSED)
def test_just_missed_is_missed_and_nothing_else_is(title: str) -> None:
    rounds = [changed(*JUST_MISSED[title])]
    assert titles(rounds, [LIGHT]) == [title]
    assert report(rounds, [LIGHT]).count("MISSED") == 1


def test_a_server_that_weighs_too_much_misses() -> None:
    assert titles([MEETS], [replace(LIGHT, used=46.0)]) == [MEMORY]
    assert titles([MEETS], []) == []


def test_every_target_is_tried_here() -> None:
    every = whole_targets([MEETS]) + targets([MEETS]) + weight_targets([LIGHT])
    bound = {one.title for one in every if one.bound != "no target"}
    assert bound == {*JUST_MISSED, MEMORY}


def test_a_moment_that_is_bad_for_all_sides_changes_no_quotient() -> None:
    slow = {side: replace(turn, requests=turn.requests / 10) for side, turn in MEETS.items()}
    assert titles([slow, slow, MEETS], [LIGHT]) == []


def test_growth_counts_wherever_it_happened() -> None:
    grown = changed(*JUST_MISSED["growth of memory during bodies, MiB"])
    assert titles([MEETS, MEETS, grown], [LIGHT]) == ["growth of memory during bodies, MiB"]


@pytest.mark.parametrize(
    ("words", "reached", "status"),
    [
        ([], True, 0),
        ([], False, 0),
        (["--check"], True, 0),
        (["--check"], False, 1),
        (["--check", "--rounds", "2"], True, 130),
    ],
)
def test_a_missed_target_is_a_failure_for_who_asks(
    monkeypatch: pytest.MonkeyPatch, words: list[str], reached: bool, status: int
) -> None:
    def measured(_options: object, rounds: list[Round], weights: list[Weight]) -> None:
        rounds.append(MEETS)
        weights.append(LIGHT if reached else replace(LIGHT, used=46.0))

    monkeypatch.setattr(command, "_measure", measured)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["run", "--rounds", "1", *words])
    assert command.main() == status
