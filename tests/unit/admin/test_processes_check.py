"""A /proc that hides processes: what the doctor makes of it."""

from __future__ import annotations

import grp
import os

import pytest

from unixspawner_admin import system
from unixspawner_admin.checks import processes
from unixspawner_admin.options import Options

NAME = "users"
GID = grp.getgrnam(NAME).gr_gid


@pytest.mark.parametrize(
    ("options", "group"),
    [
        ("rw,nosuid,nodev,noexec,relatime", ""),
        ("rw,relatime,hidepid=0,gid=100", ""),
        ("rw,hidepid=off", ""),
        (f"rw,gid={GID},hidepid=invisible", NAME),
        (f"rw,hidepid=2,gid={GID}", NAME),
        ("rw,hidepid=invisible", ""),
        ("rw,hidepid=2,gid=0", ""),
        ("rw,hidepid=2,gid=4000000", ""),
    ],
)
def test_the_group_that_may_see_is_found(options: str, group: str) -> None:
    mounts = f"tmpfs /proc/x tmpfs hidepid=2,gid=1 0 0\nproc /proc proc {options} 0 0\nnonsense\n"
    assert processes.group_of(mounts) == group


@pytest.mark.parametrize(("status", "level"), [(0, "ok"), (1, "failure")])
def test_it_is_tried(monkeypatch: pytest.MonkeyPatch, status: int, level: str) -> None:
    asked: list[object] = []

    def look(command: list[str], *, account: str | None = None) -> tuple[int, str]:
        asked.append((command, account))
        return status, ""

    monkeypatch.setattr(system, "try_run", look)
    monkeypatch.setattr(system, "uid_of", lambda _name: 900)
    (finding,) = processes.check(Options(hub_account="hub"))
    assert asked == [(["cat", "/proc/1/stat"], "hub")]
    assert finding.level == level
    assert ("usermod -aG proc hub && " in finding.cure) is (level == "failure")


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another account takes root")
def test_really() -> None:
    assert system.try_run(["cat", "/proc/1/stat"], account="nobody")[0] == 0
