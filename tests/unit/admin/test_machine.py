"""Pure judgements about the machine: its PAM stacks, its processes' markers, a doctor's lines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from unixspawner_admin import doctor, marked, pam, system
from unixspawner_admin.findings import Finding
from unixspawner_admin.options import Options


def test_debian_s_stacks(tmp_path: Path) -> None:
    (tmp_path / "common-auth").write_text("")
    assert pam.stacks(tmp_path) == {
        "pam_auth": "common-auth",
        "pam_account": "common-account",
        "pam_session": "common-session",
    }


def test_red_hat_s_stacks(tmp_path: Path) -> None:
    (tmp_path / "system-auth").write_text("")
    assert set(pam.stacks(tmp_path).values()) == {"system-auth"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("session optional pam_mkhomedir.so\n", True),
        ("# session optional pam_mkhomedir.so\n", False),
        ("session required pam_unix.so\n", False),
    ],
)
def test_whether_the_machine_makes_homes_itself(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "common-auth").write_text("")
    (tmp_path / "common-session").write_text(text)
    assert pam.makes_homes(tmp_path) is expected


ID = b"ab" * 16


def test_marked_processes_are_people_s_only(monkeypatch: pytest.MonkeyPatch) -> None:
    environments = {
        10: b"HOME=/home/alice\0UNIXSPAWNER_SERVER_ID=" + ID + b"\0",
        11: b"HOME=/root\0UNIXSPAWNER_SERVER_ID=" + ID + b"\0",
        12: b"HOME=/home/bob\0XUNIXSPAWNER_SERVER_ID=" + ID + b"\0",
        13: b"",
        14: b"UNIXSPAWNER_SERVER_ID=\x1b[2J" + ID + b"\0",
    }
    uids = {10: 4001, 11: 0, 12: 4002, 13: None, 14: 4003}
    monkeypatch.setattr(system, "processes", lambda: iter(environments))
    monkeypatch.setattr(system, "read_process", lambda pid, name: environments[pid])
    monkeypatch.setattr(system, "process_uid", lambda pid: uids[pid])
    found = marked.marked_processes()
    assert found == [marked.MarkedProcess(10, "4001", ID.decode())]


def test_a_check_that_breaks_down_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(_options: Options) -> Iterator[Finding]:
        yield Finding("ok", "first")
        raise KeyError("jupyterhub")

    def two(_options: Options) -> Iterator[Finding]:
        raise PermissionError(1, "Operation not permitted")
        yield

    def three(_options: Options) -> Iterator[Finding]:
        yield Finding("warning", "last", "a cure")

    monkeypatch.setattr(doctor, "CHECKS", (one, two, three))
    found = list(doctor.examine(Options()))
    assert [(each.level, each.text.partition(" ")[2] or each.text) for each in found] == [
        ("ok", "first"),
        ("failure", "cannot be examined: KeyError('jupyterhub')"),
        ("failure", "cannot be examined: [Errno 1] Operation not permitted"),
        ("warning", "last"),
    ]
    assert doctor.summary(found) == "2 failures and 1 warning in 4 checks."
    assert doctor.summary(found[:1]) == "All is well: 1 check."
    assert doctor.table(found)["counts"] == {"ok": 1, "warning": 1, "failure": 2}
