"""Pure judgements about the machine: its PAM stacks, its processes' markers, a doctor's lines."""

from pathlib import Path

import pytest

from unixspawner_admin import doctor, marked, pam, system


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
    assert found == [marked.MarkedProcess(10, "uid 4001", ID.decode())]


def test_a_doctor_s_lines() -> None:
    right = doctor.judge(True, "all is well", "nothing")
    wrong = doctor.judge(False, "all is well", "do this")
    unsure = doctor.judge(False, "all is well", "do this", "warning")
    assert right.line == "ok      all is well"
    assert wrong.line == "failure not so: all is well: do this"
    assert (right.is_failure, wrong.is_failure, unsure.is_failure) == (False, True, False)
