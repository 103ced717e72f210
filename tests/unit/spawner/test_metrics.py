"""The hub's own figures: bounded labels, and every code that there is."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY, generate_latest
from tests.unit.docs.test_docs import refusal_codes

from unixspawner import draining, metrics
from unixspawner_mediator import home


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"unixspawner_{name}", labels) or 0.0


def series() -> set[str]:
    text = generate_latest(REGISTRY).decode()
    return {
        line.rpartition(" ")[0] for line in text.splitlines() if line.startswith("unixspawner_")
    }


def test_every_code_of_a_refusal_has_a_label_and_nothing_else() -> None:
    assert refusal_codes() - home.SENTENCES.keys() == metrics.CODES  # no home is a refusal


def test_what_a_person_makes_up_adds_no_series() -> None:
    before = series()
    others = value("refusals_total", step="start", code="other")
    for number in range(100):
        metrics.refused("start", f"made-up-{number}")
        metrics.revoked(f"made-up-{number}")
    assert series() == before
    assert value("refusals_total", step="start", code="other") == others + 100


def test_refusals_are_counted_by_step_and_code() -> None:
    before = value("refusals_total", step="start", code="no-shell")
    metrics.refused("start", "no-shell")
    assert value("refusals_total", step="start", code="no-shell") == before + 1


def test_a_stage_that_fails_is_no_duration() -> None:
    before = value("start_seconds_count", stage="session")
    with pytest.raises(ValueError, match="no"), metrics.stage("session"):
        raise ValueError("no")
    assert value("start_seconds_count", stage="session") == before
    with metrics.stage("session"):
        pass
    assert value("start_seconds_count", stage="session") == before + 1


@dataclass(eq=False)
class Spawner:
    is_running: bool


def test_servers_are_counted_while_they_run_and_spawners_live() -> None:
    before = value("running_servers")
    running, stopped = Spawner(True), Spawner(False)
    metrics.watch(running)
    metrics.watch(stopped)
    assert value("running_servers") == before + 1
    stopped.is_running = True
    assert value("running_servers") == before + 2
    del running, stopped
    gc.collect()
    assert value("running_servers") == before


def test_what_may_happen_is_there_before_it_happens() -> None:
    found = series()
    for line in (
        'unixspawner_start_seconds_count{stage="total"}',
        'unixspawner_adoptions_total{outcome="ended"}',
        'unixspawner_stops_total{outcome="failed"}',
        'unixspawner_refusals_total{code="other",step="sign-in"}',
    ):
        assert line in found


def test_a_drain_is_a_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(draining, "FILE", f"{tmp_path}/draining")
    assert value("draining") == 0
    with open(draining.FILE, "w", encoding="utf-8") as file:
        file.write("x")
    assert value("draining") == 1
