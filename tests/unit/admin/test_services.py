"""How services are started and stopped where systemd runs, with a systemctl that takes its time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unixspawner_admin import services, system
from unixspawner_admin.errors import AdminError
from unixspawner_admin.services import Service

MORE_THAN_THE_PATIENCE = "sleep 0.5"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A slow one; programs that only look are given up long before it is done."""
    for name in ("systemctl", "journalctl"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setattr(system, "SAFE_PATH", f"{tmp_path}:{system.SAFE_PATH}")
    monkeypatch.setattr(system, "PATIENCE", 0.05)
    monkeypatch.setattr(services, "systemd_runs", lambda: True)
    return tmp_path / "systemctl"


@pytest.mark.parametrize(("work", "verb"), [(services.start, "restart"), (services.stop, "stop")])
def test_only_systemd_bounds_how_long_a_service_takes(
    systemctl: Path, work: Callable[[Service], None], verb: str
) -> None:
    said = systemctl.with_name("said")
    systemctl.write_text(f'#!/bin/sh\n{MORE_THAN_THE_PATIENCE}\necho "$*" >{said}\n')
    work(services.HUB)
    assert said.read_text() == f"{verb} unixspawner\n"


def test_what_systemd_gives_up_is_an_error(systemctl: Path) -> None:
    systemctl.write_text("#!/bin/sh\necho Job for unixspawner.service failed.; exit 1\n")
    with pytest.raises(AdminError, match=r"does not start: Job for unixspawner\.service failed"):
        services.start(services.HUB)


def test_a_program_that_only_looks_is_ended(systemctl: Path) -> None:
    systemctl.write_text(f"#!/bin/sh\n{MORE_THAN_THE_PATIENCE}\necho active\n")
    assert not services.runs(services.HUB)
