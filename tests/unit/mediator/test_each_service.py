"""Each name service by itself: what it says, and that it says nothing."""

import json
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from unixspawner_mediator import each_service, name_service
from unixspawner_mediator.each_service import Question, Report
from unixspawner_mediator.name_service import NO_GROUP, Entry, UnavailableError

DAEMON = pwd.getpwnam("daemon")
ROOT = Path(each_service.__file__).parents[1]
QUESTION = Question(["daemon", "no-such-account"], {"daemon": NO_GROUP, "no-such-group": NO_GROUP})
OF_FILES = Report(
    {"daemon": Entry("daemon", DAEMON.pw_uid, DAEMON.pw_gid)},
    {"daemon": frozenset({"daemon"}), "no-such-account": frozenset()},
)


@pytest.mark.parametrize(
    ("text", "passwd", "group", "initgroups"),
    [
        ("", ["files"], ["files"], []),
        ("passwd: files sss\ngroup: files sss # both\n", ["files", "sss"], ["files", "sss"], []),
        ("passwd:\tsss files\ninitgroups: sss\n", ["sss", "files"], ["files"], ["sss"]),
        (
            "passwd: sss [NOTFOUND=return] files\ngroup: files [SUCCESS=merge] sss [!UNAVAIL=x]",
            ["sss", "files"],
            ["files", "sss"],
            [],
        ),
        ("passwd: files files\n# passwd: nis\nshadow: nis", ["files"], ["files"], []),
    ],
)
def test_these_services_are_asked(
    text: str, passwd: list[str], group: list[str], initgroups: list[str]
) -> None:
    expected = {"passwd": passwd, "group": group, "initgroups": initgroups}
    assert each_service.services(text) == expected


@pytest.fixture
def nsswitch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "nsswitch.conf"
    monkeypatch.setattr(each_service, "NSSWITCH", str(path))
    return path


def test_the_machines_files_answer(nsswitch: Path) -> None:
    nsswitch.write_text("passwd: files\ngroup: files\n")
    assert each_service.ask_each(QUESTION) == {"files": OF_FILES}


def test_what_is_not_installed_knows_nobody_and_is_not_silent(nsswitch: Path) -> None:
    nsswitch.write_text("passwd: nosuchservice files\ngroup: files\n")
    nothing = Report({}, {"daemon": frozenset(), "no-such-account": frozenset()})
    reports = each_service.ask_each(QUESTION)
    assert list(reports.items()) == [("nosuchservice", nothing), ("files", OF_FILES)]


def test_a_service_without_its_daemon_is_silent_and_hides_nobody(
    nsswitch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(each_service.SOCKETS, "sss", str(tmp_path / "no-socket"))
    nsswitch.write_text("passwd: sss files\ngroup: sss files\n")
    reports = each_service.ask_each(QUESTION)
    assert reports == {"sss": None, "files": OF_FILES}
    assert each_service.silent(reports) == ["sss"]


def test_a_service_whose_daemon_takes_nobody_is_silent(
    nsswitch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))  # the queue is full
            monkeypatch.setitem(each_service.SOCKETS, "sss", str(path))
            monkeypatch.setattr(each_service, "PATIENCE", 2.0)
            nsswitch.write_text("passwd: sss files\ngroup: files\n")
            assert each_service.ask_each(QUESTION) == {"sss": None, "files": OF_FILES}


def test_the_child_of_the_hub_says_the_same() -> None:
    """Run as the hub runs it, without any packages."""
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}]; "
    code += "from unixspawner_mediator.each_service import main; main()"
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code],
        input=json.dumps(QUESTION._asdict()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert each_service.parse(json.loads(done.stdout))["files"] == OF_FILES


def test_an_account_is_found_or_definitely_not() -> None:
    found = name_service.find_account("daemon")
    assert found == Entry("daemon", DAEMON.pw_uid, DAEMON.pw_gid)
    assert name_service.find_account("no-such-account") is None
    assert name_service.find_group("no-such-group") is None


def test_groups_are_those_of_a_login() -> None:
    me = pwd.getpwuid(os.getuid())
    expected = frozenset(os.getgrouplist(me.pw_name, me.pw_gid))
    assert name_service.group_ids(me.pw_name, me.pw_gid) == expected


def test_an_error_of_the_library_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        @staticmethod
        def getpwnam_r(*_arguments: object) -> int:
            return 2  # ENOENT, as with a directory that is down

    monkeypatch.setattr(name_service, "_library", Library)
    with pytest.raises(UnavailableError, match="ENOENT"):
        name_service.find_account("alice")
