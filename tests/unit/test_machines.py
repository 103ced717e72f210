"""Which machine pytest takes for the system and browser tests: what runs, what was asked for."""

from __future__ import annotations

import pytest
from tests.system import machines, vagrant


def chosen(monkeypatch: pytest.MonkeyPatch, wanted: str, *running: str) -> str:
    monkeypatch.setattr(vagrant, "running", lambda: list(running))
    return machines.choose(wanted)


@pytest.mark.parametrize(
    ("wanted", "running", "expected"),
    [
        ("auto", (), "none"),
        ("auto", ("trixie",), "trixie"),
        ("vm", ("bookworm", "trixie"), "bookworm"),
        ("trixie-rs", ("bookworm", "trixie-rs"), "trixie-rs"),
        ("none", ("bookworm",), "none"),
        ("local", ("bookworm",), "local"),
    ],
)
def test_a_virtual_machine_that_runs_is_taken_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch, wanted: str, running: tuple[str, ...], expected: str
) -> None:
    assert chosen(monkeypatch, wanted, *running) == expected


@pytest.mark.parametrize(("wanted", "running"), [("vm", ()), ("trixie", ("bookworm",))])
def test_a_virtual_machine_that_does_not_run_is_not_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch, wanted: str, running: tuple[str, ...]
) -> None:
    with pytest.raises(pytest.UsageError, match="vagrant up"):
        chosen(monkeypatch, wanted, *running)
