"""What becomes of a start in a home that is not as it should be.

That a full disk, a quota and a mount that hangs are told apart on a real machine is in
tests/system/test_homes.py.
"""

import os
import pathlib
import signal
import time
from collections.abc import Iterator

import pytest

from unixspawner_mediator import home, system
from unixspawner_mediator.policy import Account
from unixspawner_mediator.stop import legible


@pytest.fixture
def account(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """Somebody whose home and session directory are below tmp_path. Goes back where it was."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    before = os.getcwd()
    yield Account("alice", os.getuid(), os.getgid(), str(tmp_path / "home"), "/bin/sh", frozenset())
    os.chdir(before)


def prepare(account: Account) -> tuple[str, str, str]:
    """Where it is, the log's path, and the code."""
    log, code, sentence = home.prepare(account, "")
    path = os.readlink(f"/proc/self/fd/{log}")
    os.close(log)
    assert (code == "") == (sentence == "")
    return os.getcwd(), path, code


def test_a_good_home_is_entered_and_has_the_log(account: Account) -> None:
    os.mkdir(account.home)
    log = f"{account.home}/.local/state/unixspawner/server.log"
    assert prepare(account) == (account.home, log, "")
    assert os.stat(log).st_mode & 0o777 == 0o600
    assert pathlib.Path(log).read_text().endswith(" start\n")


def test_each_start_has_a_log_of_its_own_and_the_last_one_stays(account: Account) -> None:
    os.mkdir(account.home)
    _, log, _ = prepare(account)
    pathlib.Path(log).write_text("the start before\n")
    prepare(account)
    assert pathlib.Path(f"{log}.1").read_text() == "the start before\n"
    assert pathlib.Path(log).read_text().endswith(" start\n")


def test_without_a_home_the_log_is_in_the_session_directory(
    account: Account, tmp_path: pathlib.Path
) -> None:
    spare = str(tmp_path / "runtime/unixspawner/server.log")
    assert prepare(account) == ("/", spare, "home-missing")


def test_a_home_that_is_a_file_is_missing(account: Account) -> None:
    pathlib.Path(account.home).touch()
    assert prepare(account)[2] == "home-missing"


def test_a_link_that_leads_to_itself_is_a_broken_home(account: Account) -> None:
    os.symlink(account.home, account.home)
    assert prepare(account)[0::2] == ("/", "home-broken")


def test_a_log_that_is_in_the_way_is_said_and_the_home_entered(
    account: Account, tmp_path: pathlib.Path
) -> None:
    os.makedirs(f"{account.home}/.local")
    pathlib.Path(f"{account.home}/.local/state").touch()
    spare = str(tmp_path / "runtime/unixspawner/server.log")
    assert prepare(account) == (account.home, spare, "home-not-writable")


@pytest.fixture
def as_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """root may read everything, whatever the mode."""
    monkeypatch.setattr(os, "access", lambda path, _: bool(os.stat(path).st_mode & 0o400))


def closed_file(account: Account, name: str) -> pathlib.Path:
    path = pathlib.Path(account.home, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0)
    return path


@pytest.mark.parametrize(
    ("shell", "name", "is_read"),
    [
        ("/bin/bash", ".bashrc", True),
        ("/bin/bash", ".bash_profile", True),
        ("/bin/bash", ".profile", True),
        ("/bin/bash", ".zshrc", False),
        ("/usr/bin/zsh", ".zshrc", True),
        ("/usr/bin/zsh", ".profile", False),
        ("/usr/bin/fish", ".profile", False),
        ("/bin/sh", ".profile", True),
        ("/opt/own-shell", ".profile", True),
        ("/bin/sh", ".bashrc", False),
    ],
)
def test_a_start_up_file_of_the_login_shell_that_cannot_be_read_is_said(
    account: Account, as_a_person: None, shell: str, name: str, is_read: bool
) -> None:
    person = account._replace(shell=shell)
    closed_file(account, name)
    log = f"{account.home}/.local/state/unixspawner/server.log"
    code = "dotfile-unreadable" if is_read else ""
    assert prepare(person) == (account.home, log, code)
    assert home.unreadable_file(person) == (name if is_read else "")


def test_a_file_that_another_one_stands_in_for_is_not_missed(
    account: Account, as_a_person: None
) -> None:
    """bash reads the first of three that it can."""
    person = account._replace(shell="/bin/bash")
    closed_file(account, ".bash_login")
    pathlib.Path(account.home, ".profile").touch(mode=0o600)
    assert home.unreadable_file(person) == ""


def test_the_sentence_names_the_file(account: Account, as_a_person: None) -> None:
    closed_file(account, ".profile")
    log, _, sentence = home.prepare(account, "")
    os.close(log)
    assert sentence.startswith(
        "Your start-up file ~/.profile cannot be read: run `chmod u+r ~/.profile`, or ask your "
    )


def test_start_up_files_that_are_none_are_left_alone(account: Account, as_a_person: None) -> None:
    """A link may lead to where nothing answers."""
    target = closed_file(account, "elsewhere")
    os.symlink(target, f"{account.home}/.profile")
    assert home.unreadable_file(account) == ""
    os.unlink(f"{account.home}/.profile")
    os.mkdir(f"{account.home}/.profile", 0)
    assert home.unreadable_file(account) == ""


def test_a_home_that_does_not_answer_is_given_up(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> bytes:
        signal.pause()
        return b""

    monkeypatch.setattr(home, "_visit", hang)
    monkeypatch.setattr(home, "PATIENCE", 0.2)
    began = time.monotonic()
    assert prepare(account)[0::2] == ("/", "home-hangs")
    assert time.monotonic() - began < 2


def test_what_hangs_holds_nothing_that_others_wait_for() -> None:
    """Else the hub would wait for the end of a pipe that nobody will ever write to."""
    reader, writer = os.pipe()

    def hang() -> bytes:
        signal.pause()
        return b""

    assert system.try_first(hang, 0.1) == b""
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read() == b""


def test_somebody_who_may_not_fork_is_looked_after_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    assert system.try_first(lambda: b"done here", 1) == b"done here"


def test_a_directory_of_another_account_takes_no_log(
    account: Account, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A symbolic link, as another account could put one into /tmp."""
    mine = tmp_path / "mine"
    mine.mkdir()
    os.symlink(mine, tmp_path / "runtime/unixspawner")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert prepare(account)[1] == "/dev/null"
    assert list(mine.iterdir()) == []


def test_the_newer_log_has_the_last_words(account: Account, tmp_path: pathlib.Path) -> None:
    os.mkdir(account.home)
    _, log, _ = prepare(account)
    spare = tmp_path / "runtime/unixspawner/server.log"
    spare.parent.mkdir(parents=True, exist_ok=True)
    spare.write_text("in the session directory\n")
    os.utime(log, (1, 1))
    assert home.last_words(account, "", 100) == b"in the session directory\n"
    os.utime(spare, (0, 0))
    assert home.last_words(account, "", 100).endswith(b" start\n")


def test_a_log_that_is_a_trap_is_not_followed(tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link, fifo = tmp_path / "link", tmp_path / "fifo"
    link.symlink_to(secret)
    os.mkfifo(fifo)
    traps = [str(path) for path in (link, fifo, tmp_path, tmp_path / "no")]
    assert home.read_newest(traps, 100) == b""


def test_a_log_of_another_account_is_not_ours(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may make a directory of that name in /tmp before us."""
    log = tmp_path / "server.log"
    log.write_text("planted")
    assert home.read_newest([str(log)], 100) == b"planted"
    monkeypatch.setattr(os, "getuid", lambda: os.stat(log).st_uid + 1)
    assert home.read_newest([str(log)], 100) == b""


def test_the_tail_is_text_that_a_reply_may_carry() -> None:
    tail = legible(b"old\n" * 5000 + b"\x1b[31mred\x00\r\n\xff\n")
    assert tail.endswith("old\n[31mred\n\ufffd\n")
    assert len(tail) == 2000
