"""What the doctor says about limits.toml, on a machine made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from unixspawner_admin import paths, services, sudo
from unixspawner_admin.checks import limits
from unixspawner_admin.findings import Finding
from unixspawner_admin.options import Options
from unixspawner_mediator import config

READENV = "session required pam_env.so user_readenv=1 envfile=/etc/default/locale"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pam.d").mkdir()
    (tmp_path / "controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    for name in ("unixspawner-session", "sshd"):
        (tmp_path / "pam.d" / name).write_text(f"{limits.LINE}\n")
    (tmp_path / "pam.d/common-auth").touch()
    (tmp_path / "pam.d/common-session").write_text("session optional pam_systemd.so\n")
    monkeypatch.setattr(paths, "PAM", tmp_path / "pam.d")
    monkeypatch.setattr(paths, "LIMITS", tmp_path / "limits.toml")
    monkeypatch.setattr(limits, "CONTROLLERS", tmp_path / "controllers")
    monkeypatch.setattr(services, "systemd_runs", lambda: True)
    monkeypatch.setattr(sudo, "is_sudo_rs", lambda: False)
    monkeypatch.setattr(config, "require_root_owned", lambda _status, _path: None)
    (tmp_path / "limits.toml").write_text('[default]\nmemory = "1G"\ntasks = 100\n')
    return tmp_path


def found(*levels: str) -> list[Finding]:
    wanted = levels or ("warning", "failure")
    return [each for each in limits.check(Options()) if each.level in wanted]


def test_nothing_is_wrong() -> None:
    assert found() == []
    assert len(found("ok")) == 7


def test_a_file_without_sections_needs_nothing(machine: Path) -> None:
    (machine / "limits.toml").write_text("")
    (machine / "controllers").unlink()
    (machine / "pam.d/sshd").write_text("")
    assert [each.text for each in limits.check(Options())] == [
        "limits.toml is valid, and sets nothing"
    ]


def test_a_file_that_is_wrong(machine: Path) -> None:
    (machine / "limits.toml").write_text("[default]\nram = 1\n")
    (finding,) = found()
    assert finding.is_failure
    assert "unknown keys: ['ram']; until then no limits are set" in finding.text


def test_names_that_nobody_has(machine: Path) -> None:
    text = "[group.no-such-group]\ncpu = 1\n[user.no-such-user]\ncpu = 1\n[user.root]\ncpu = 1\n"
    (machine / "limits.toml").write_text(text)
    assert [each.text for each in found("warning")] == [
        "limits.toml names no-such-group, and there is no such group",
        "limits.toml names no-such-user, and there is no such user",
    ]


@pytest.mark.parametrize(
    ("controllers", "text"),
    [
        ("cpu io memory", "tasks of limits.toml; tasks is kept for servers alone"),
        ("pids", "memory of limits.toml"),
        ("", "memory, tasks of limits.toml; tasks is kept for servers alone"),
    ],
)
def test_what_the_kernel_does_not_enforce(machine: Path, controllers: str, text: str) -> None:
    (machine / "controllers").write_text(controllers)
    (finding,) = found("warning")
    assert finding.text == f"this machine does not enforce {text}"


def test_without_systemd_nothing_is_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "systemd_runs", lambda: False)
    assert "does not enforce memory, tasks" in found("warning")[0].text


@pytest.mark.parametrize("name", ["unixspawner-session", "sshd"])
def test_a_stack_that_sets_no_limits(machine: Path, name: str) -> None:
    (machine / "pam.d" / name).write_text(f"# {limits.LINE}\n@include common-session\n")
    (finding,) = found("warning")
    assert finding.text.startswith(f"{machine}/pam.d/{name} does not set limits")
    assert finding.cure == f"sed -i '1i {limits.LINE}' {machine}/pam.d/{name}"


def test_a_machine_without_ssh_needs_no_line_for_it(machine: Path) -> None:
    (machine / "pam.d/sshd").unlink()
    assert found() == []


def test_servers_that_are_in_nobodys_slice(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "pam.d/common-session").write_text("# session optional pam_systemd.so\n")
    (finding,) = found("warning")
    assert finding.text.startswith("servers are not in the slice of their person")
    assert finding.cure == "pam-auth-update --enable systemd"
    monkeypatch.setattr(sudo, "is_sudo_rs", lambda: True)
    (finding,) = found("warning")
    assert "sudo-rs opens no session of ours" in finding.cure


@pytest.mark.parametrize(
    "text",
    [
        f"{READENV}\n{limits.LINE}\n",
        f"@include env\n{limits.LINE}\n",
        f"session include env\n{limits.LINE}\n",
        f"session substack env\n{limits.LINE}\n",
    ],
)
def test_variables_of_people_must_not_come_first(machine: Path, text: str) -> None:
    (machine / "pam.d/env").write_text(f"-{READENV}\n")
    (machine / "pam.d/sshd").write_text(text)
    (finding,) = found("failure")
    assert "lets people set variables before it runs session-limits as root" in finding.text
    (machine / "pam.d/sshd").write_text(f"{limits.LINE}\n{READENV}\n")
    assert found() == []


def test_services_that_include_each_other_end(machine: Path) -> None:
    (machine / "pam.d/sshd").write_text(f"@include sshd\n{limits.LINE}\n")
    assert found() == []
