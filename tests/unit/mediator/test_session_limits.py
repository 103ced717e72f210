"""`session-limits`: what it asks of systemd, and that no failure of its keeps anybody out."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from unixspawner_mediator import config, limits, session_limits, slices, system
from unixspawner_mediator.config import Config, ConfigError
from unixspawner_mediator.policy import Account
from unixspawner_mediator.slices import SliceError

ALICE = Account("alice", 1001, 1001, "/home/alice", "/bin/bash", frozenset({"alice", "students"}))
WWW = Account("www-data", 33, 33, "/var/www", "/usr/sbin/nologin", frozenset({"www-data"}))
FILE = {"default": {"memory": "1G", "tasks": 500}, "group": {"students": {"cpu": 0.5}}}


@dataclass
class Machine:
    """A systemctl that writes down how it is called, and the system's log."""

    folder: Path
    file: dict[str, object]
    logged: list[str] = field(default_factory=list)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def drop_in(self, name: str) -> Path:
        return self.folder / f"control/user-1001.slice.d/50-{name}.conf"

    def systemctl(self, text: str) -> None:
        path = self.folder / "systemctl"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(self, name: str = "alice") -> None:
        os.environ["PAM_USER"] = name
        assert session_limits.main() == 0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    each = Machine(tmp_path, dict(FILE))
    each.systemctl(f'echo "$*" >> {tmp_path}/calls')
    accounts = {"alice": ALICE, "www-data": WWW}
    monkeypatch.setattr(system, "account_of", accounts.get)
    monkeypatch.setattr(system, "log", lambda _priority, text: each.logged.append(text))
    monkeypatch.setattr(config, "read", lambda: Config("hub", "users", ["/x"]))
    monkeypatch.setattr(limits, "read", lambda: limits.parse(each.file))
    monkeypatch.setattr(slices, "systemd_runs", lambda: True)
    monkeypatch.setattr(slices, "SYSTEMCTL", str(tmp_path / "systemctl"))
    monkeypatch.setattr(slices, "DROP_INS", str(tmp_path / "control"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PAM_USER", "")
    yield each


real = open
Asking = Callable[[bytes, str], None]
WORDS = "--no-ask-password --quiet"


def test_a_persons_slice_gets_the_persons_limits(machine: Machine) -> None:
    machine.run()
    assert machine.calls == [
        f"{WORDS} set-property --runtime -- user-1001.slice "
        "CPUQuota=50% MemoryMax=1073741824 TasksMax=500"
    ]
    assert machine.logged == ["user=alice CPUQuota=50% MemoryMax=1073741824 TasksMax=500"]


@pytest.mark.parametrize("name", ["www-data", "root", "", "nobody", "-x", "a\nb", "$(id)", "../x"])
def test_nobody_else_has_limits_of_ours(machine: Machine, name: str) -> None:
    machine.run(name)
    assert (machine.calls, machine.logged) == ([], [])


def test_without_any_section_nothing_of_the_machine_is_touched(machine: Machine) -> None:
    machine.file = {}
    machine.drop_in("MemoryMax").parent.mkdir(parents=True)
    machine.drop_in("MemoryMax").touch()
    machine.run()
    assert (machine.calls, machine.logged) == ([], [])
    assert machine.drop_in("MemoryMax").exists()


def test_what_is_not_said_any_more_is_taken_back(machine: Machine) -> None:
    machine.drop_in("IOWeight").parent.mkdir(parents=True)
    for name in ("IOWeight", "MemoryMax", "AllowedCPUs"):
        machine.drop_in(name).touch()
    machine.run()
    assert machine.calls[0] == f"{WORDS} daemon-reload"
    assert len(machine.calls) == 2
    left = sorted(path.name for path in machine.drop_in("IOWeight").parent.iterdir())
    assert left == ["50-AllowedCPUs.conf", "50-MemoryMax.conf"]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("echo No such unit >&2; exit 1", "systemctl set-property: No such unit"),
        ("exec sleep 60", "timed out after 0.5 seconds"),
    ],
)
def test_a_systemd_that_fails_or_hangs_keeps_nobody_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, harm: str, said: str
) -> None:
    monkeypatch.setattr(slices, "PATIENCE", 0.5)
    machine.systemctl(harm)
    machine.run()
    assert len(machine.logged) == 1
    assert machine.logged[0].startswith("user=alice limits are not set: ")
    assert said in machine.logged[0]


def test_a_missing_systemctl_keeps_nobody_out(machine: Machine) -> None:
    (machine.folder / "systemctl").unlink()
    machine.run()
    assert "limits are not set" in machine.logged[0]


def test_a_file_that_is_wrong_keeps_nobody_out(machine: Machine) -> None:
    machine.file = {"default": {"memory": "lots"}}
    machine.run()
    assert machine.logged[0].startswith("user=alice limits are not set: limits.toml: [default]")


def test_a_broken_mediator_toml_keeps_nobody_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Config:
        raise ConfigError("broken")

    monkeypatch.setattr(config, "read", broken)
    machine.run()
    assert machine.logged == ["user=alice limits are not set: broken"]


def test_whatever_else_goes_wrong_keeps_nobody_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_name: str) -> Account:
        raise RuntimeError("what?")

    monkeypatch.setattr(system, "account_of", broken)
    machine.run()
    assert machine.logged == ["user=alice limits are not set: fault RuntimeError: what?"]


def test_who_is_not_root_changes_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    machine.run()
    assert machine.calls == []
    assert "seteuid is missing" in machine.logged[0]


def test_without_systemd_there_is_nothing_to_set(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "systemd_runs", lambda: False)
    machine.run()
    assert (machine.calls, machine.logged) == ([], [])


def test_systemctl_is_told_no_variable_of_the_session(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", "/home/alice")
    machine.systemctl(f"env > {machine.folder}/env")
    machine.run()
    names = {line.partition("=")[0] for line in (machine.folder / "env").read_text().splitlines()}
    assert names - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "LC_ALL"}


STACK = Path(__file__).parents[3] / "config/pam.d/unixspawner-session"


def test_it_comes_before_anything_that_can_set_a_variable() -> None:
    lines = [line for line in STACK.read_text().splitlines() if line.startswith("session")]
    assert "pam_exec.so" in lines[0]
    assert re.search(r"\bseteuid type=open_session @libexec@/session-limits$", lines[0])


def test_systemctl_and_the_program_have_absolute_names() -> None:
    assert slices.SYSTEMCTL == "/usr/bin/systemctl"
    if os.path.exists(slices.SYSTEMCTL):
        assert stat.S_ISREG(os.stat(slices.SYSTEMCTL).st_mode)


# The one session, by what the hub asks for


@pytest.fixture
def ask(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asking:
    """Sets what the sudo that runs us was given, and where the session is."""
    machine.file = {"profile": {"small": {"title": "Small", "memory": "512M", "cpu": 1}}}
    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(slices, "PATIENCE", 0.05)
    paths: dict[str, str] = {}

    def fake(name: str, *words: Any, **more: Any) -> Any:
        return real(paths.get(name, name), *words, **more)

    monkeypatch.setattr("builtins.open", fake)

    def make(variables: bytes, groups: str) -> None:
        sudo = f"/proc/{os.getppid()}"
        fakes = {f"{sudo}/environ": variables, f"{sudo}/cgroup": groups.encode()}
        for number, (name, content) in enumerate(fakes.items()):
            (tmp_path / f"fake{number}").write_bytes(content)
            paths[name] = str(tmp_path / f"fake{number}")

    return make


SCOPE = "0::/user.slice/user-1001.slice/session-c12.scope\n"
ASKED = b"PATH=/bin\0UNIXSPAWNER_PROFILE=small\0LC_ALL=C.UTF-8\0"


@pytest.mark.parametrize("groups", [SCOPE, f"4:memory:/x\n1:name=systemd{SCOPE[2:]}"])
def test_a_chosen_profile_holds_for_the_session(machine: Machine, ask: Asking, groups: str) -> None:
    ask(ASKED, groups)
    machine.run()
    assert machine.calls == [
        f"{WORDS} set-property --runtime -- session-c12.scope CPUQuota=100% MemoryMax=536870912"
    ]
    assert machine.logged == [
        "user=alice nothing",
        "user=alice CPUQuota=100% MemoryMax=536870912 profile=small",
    ]


@pytest.mark.parametrize("variables", [b"", b"PATH=/bin\0", b"X_UNIXSPAWNER_PROFILE=small\0"])
def test_without_a_choice_only_the_person_has_limits(
    machine: Machine, ask: Asking, variables: bytes
) -> None:
    ask(variables, SCOPE)
    machine.run()
    assert (machine.calls, machine.logged) == ([], ["user=alice nothing"])


@pytest.mark.parametrize(
    ("value", "groups", "said"),
    [
        (b"huge", SCOPE, "limits.toml has no profile 'huge'"),
        (b"a\nb=\xff", SCOPE, r"limits.toml has no profile 'a\nb="),
        (b"small", "0::/system.slice/unixspawner.service\n", "has made no session"),
        (
            b"small",
            "0::/user.slice/user-1002.slice/session-1.scope\n",
            "has made no session",
        ),
        (b"small", f"{SCOPE.strip()}/x\n", "has made no session"),
        (
            b"small",
            "0::/user.slice/user-1001.slice/session-1;x.scope\n",
            "has made no session",
        ),
    ],
)
def test_what_cannot_be_is_said_and_keeps_nobody_out(
    machine: Machine, ask: Asking, value: bytes, groups: str, said: str
) -> None:
    ask(b"UNIXSPAWNER_PROFILE=" + value + b"\0", groups)
    machine.run()
    assert machine.calls == []
    assert said in machine.logged[1]
    assert "\n" not in machine.logged[1]


def test_the_process_that_waits_is_not_the_one_that_pam_waits_for(
    machine: Machine, ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(ASKED, SCOPE)
    monkeypatch.setattr(os, "fork", lambda: 4711)
    machine.run()
    assert (machine.calls, machine.logged) == ([], ["user=alice nothing"])


def test_it_waits_for_the_session_and_no_longer_than_its_leader_lives(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(["", "", "session-3.scope"])
    monkeypatch.setattr(slices, "_scope", lambda _pid, _uid: next(looks))
    with subprocess.Popen(["sleep", "100"]) as leader:
        slices.narrow_session(leader.pid, 1001, {"MemoryMax": "1"})
        assert machine.calls == [f"{WORDS} set-property --runtime -- session-3.scope MemoryMax=1"]
        monkeypatch.setattr(slices, "_scope", lambda _pid, _uid: "")
        leader.kill()
        with pytest.raises(SliceError):
            slices.narrow_session(leader.pid, 1001, {"MemoryMax": "1"})
