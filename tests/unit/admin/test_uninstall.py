"""What uninstall would do, and in which order; nothing of it is done here."""

from pathlib import Path

import pytest

from unixspawner_admin import paths, services, system, uninstall
from unixspawner_admin.changes import Change
from unixspawner_admin.manifest import Manifest, digest

LOGIN = paths.TEMPLATES / "login.html"


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """An installation with the demo, of which a template was edited."""
    monkeypatch.setattr(system, "uid_of", lambda name: 900)
    monkeypatch.setattr(system, "gid_of", lambda name: 900)
    members = {"jupyterhub-users": ["alice"]}
    monkeypatch.setattr(system, "members", lambda group: members.get(group, []))
    monkeypatch.setattr(system, "read_bytes", lambda path: b"mine" if path == LOGIN else b"")
    monkeypatch.setattr(services, "systemd_runs", lambda: False)
    monkeypatch.setattr(paths, "PAM", tmp_path / "pam.d")
    monkeypatch.setattr(paths, "DROP_INS", tmp_path / "system.control")
    files = [paths.SUDOERS, paths.LIBEXEC / "mediator", paths.ETC / "mediator.toml", LOGIN]
    return Manifest(
        tmp_path / "manifest.json",
        files={str(path): digest(b"") for path in [*files, paths.COMMAND]},
        directories=[str(paths.OPT)],
        accounts=["jupyterhub"],
        people=["demo"],
        groups=["jupyterhub-users", "jupyterhub-admins"],
        packages=["sudo"],
        services={"unixspawner": "", "unixspawner-demo": ""},
    )


def texts(changes: list[Change]) -> list[str]:
    return [change.text for change in changes]


def test_first_nobody_can_start_anything_any_more(manifest: Manifest) -> None:
    assert texts(uninstall.plan(manifest, purge=False))[:4] == [
        "stop and disable unixspawner",
        "stop and disable unixspawner-demo",
        "end the servers of all people",
        f"remove {paths.SUDOERS}",
    ]


def test_people_and_their_work_stay(manifest: Manifest) -> None:
    planned = texts(uninstall.plan(manifest, purge=False))
    assert not [text for text in planned if "demo and its home" in text]
    assert f"remove {LOGIN}" not in planned
    assert "remove group jupyterhub-users" not in planned
    assert "remove group jupyterhub-admins" in planned
    assert "remove system account jupyterhub" in planned


def test_purge_takes_what_we_made_and_no_more(manifest: Manifest) -> None:
    planned = texts(uninstall.plan(manifest, purge=True))
    assert "remove person demo and its home" in planned
    assert f"remove {LOGIN}" in planned
    assert "remove group jupyterhub-users" in planned
    assert not [text for text in planned if "alice" in text]


def test_what_stays_is_said(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "METRICS_TOKEN", tmp_path / "none")
    said = [leftover.text for leftover in uninstall.leftovers(manifest, purge=False)]
    assert said[:4] == [
        "package sudo (apt-get remove sudo)",
        "person demo (userdel -r demo)",
        f"{LOGIN}, which was edited",
        "group jupyterhub-users, which has members",
    ]
    purged = uninstall.leftovers(manifest, purge=True)
    assert [leftover.text for leftover in purged] == ["package sudo (apt-get remove sudo)"]


def test_what_limits_leave_is_said(manifest: Manifest) -> None:
    paths.PAM.mkdir()
    line = f"session optional pam_exec.so {paths.SESSION_LIMITS}\n"
    for name, text in (("sshd", line), ("unixspawner-session", line), ("login", "")):
        (paths.PAM / name).write_text(text)
    manifest.files[str(paths.PAM / "unixspawner-session")] = ""
    (paths.DROP_INS / "user-1001.slice.d").mkdir(parents=True)
    (paths.DROP_INS / "other.slice.d").mkdir()
    said = [leftover.text for leftover in uninstall.leftovers(manifest, purge=True)]
    path = paths.PAM / "sshd"
    command = f"sed -i '\\,{paths.SESSION_LIMITS},d' {path}"
    assert said[1:] == [
        f"the line with {paths.SESSION_LIMITS} in {path} ({command})",
        "limits that hold until the machine restarts (systemctl revert user-1001.slice)",
    ]


def test_the_command_is_there_until_the_end(manifest: Manifest) -> None:
    planned = texts(uninstall.plan(manifest, purge=True))
    assert f"remove {paths.COMMAND}" not in planned
    assert str(paths.COMMAND) in uninstall.plan_end(manifest, purge=True).text
