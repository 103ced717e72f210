"""pytest plug-in: leaves out what excluded.toml names, and fails when such a name is gone.

Run by `tests/peers/run`, as any account that is not root.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("excluded.toml")


def excluded() -> dict[str, dict[str, str]]:
    """Module name to test name to reason."""
    return tomllib.loads(LIST.read_text())


@pytest.hookimpl(tryfirst=True)  # sees all of a module, whatever -k says
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lists = excluded()
    collected = {item.path.stem for item in items}
    missing = {(module, name) for module in collected for name in lists.get(module, {})}
    left_out = [item for item in items if item.name in lists.get(item.path.stem, {})]
    missing -= {(item.path.stem, item.name) for item in left_out}
    if missing:
        names = ", ".join(sorted(f"{module}::{name}" for module, name in missing))
        raise pytest.UsageError(f"{LIST.name} names tests that do not exist: {names}")
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("left out, and why")
    for item in terminalreporter.stats.get("deselected", []):
        reason = excluded().get(item.path.stem, {}).get(item.name, "")
        if reason:
            terminalreporter.line(f"{item.path.stem}::{item.name}: {reason}")
