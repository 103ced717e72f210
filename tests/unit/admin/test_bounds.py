"""What people may use, read from trees that look like the kernel's, and shown in a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from unixspawner_admin import status
from unixspawner_admin.bounds import Bounds, bounds_of
from unixspawner_admin.overview import RUNS, Overview, Row

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ROW = Row("alice", "", RUNS, NOW, 2**20, 0.0, 1, (), NOW)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, Bounds()),
        ({"memory.max": "max\n", "cpu.max": "max 100000\n", "pids.max": "max\n"}, Bounds()),
        (
            {"memory.max": "1073741824\n", "cpu.max": "150000 100000\n", "pids.max": "500\n"},
            Bounds(2**30, 1.5, 500),
        ),
        ({"memory.max": "much\n", "cpu.max": "1 0\n", "pids.max": "-1\n"}, Bounds()),
    ],
)
def test_what_the_kernel_holds_to(tmp_path: Path, files: dict[str, str], found: Bounds) -> None:
    (tmp_path / "user-1001.slice").mkdir()
    for name, content in files.items():
        (tmp_path / "user-1001.slice" / name).write_text(content)
    assert bounds_of(1001, tmp_path) == found
    assert bounds_of(1002, tmp_path) == Bounds()


def overview(*rows: Row) -> Overview:
    return Overview("http://x/", True, True, None, "", "PSS", rows)


def test_a_column_says_it_when_there_is_something_to_say() -> None:
    limited = replace(ROW, person="bob", bounds=Bounds(2**31, 1.5, 500))
    lines = list(status.lines(overview(ROW, limited), None, NOW))
    assert any("MAY USE" in line for line in lines)
    assert any("2.0 GB, 1.5 CPU" in line for line in lines if line.startswith("bob"))
    assert not any("MAY USE" in line for line in status.lines(overview(ROW), None, NOW))
    # how many processes is a limit that every machine has
    only_tasks = replace(ROW, bounds=Bounds(tasks=500))
    assert not any("MAY USE" in line for line in status.lines(overview(only_tasks), None, NOW))


def test_programs_get_all_of_them() -> None:
    servers = status.table(overview(replace(ROW, bounds=Bounds(2**31, None, 500))))["servers"]
    assert isinstance(servers, list)
    assert servers[0]["bounds"] == {"memory": 2**31, "cpu": None, "tasks": 500}
