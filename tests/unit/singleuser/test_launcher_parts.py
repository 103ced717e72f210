"""What the launcher is made of: directories, logs, patience, the process table, one by one."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unixspawner_singleuser import patience, processes
from unixspawner_singleuser.application_logs import (
    Log,
    last_log,
    log_path,
    open_log,
    open_spare_log,
    readable_lines,
)
from unixspawner_singleuser.patience import MAX_STUCK, in_thread, in_time
from unixspawner_singleuser.patient_log import MAX_WAITING, PatientHandler
from unixspawner_singleuser.placeholders import NAMES, filled, first_unknown, mentions
from unixspawner_singleuser.runtime_directory import STEM, RuntimeDirectory

# The runtime directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob(f"{STEM}*"))


def test_the_sessions_own_directory_is_used_and_left_clean(directory: Path) -> None:
    runtime = RuntimeDirectory(str(directory))
    assert names(directory) == [Path(runtime.path).name]
    assert Path(runtime.path).stat().st_mode & 0o7777 == 0o700
    (Path(runtime.path) / "x.socket").touch()
    runtime.close()
    assert names(directory) == []


def test_what_a_killed_server_left_is_cleared_away_and_what_is_in_use_is_not(
    directory: Path,
) -> None:
    (directory / f"{STEM}stale" / "deep").mkdir(parents=True)
    (directory / f"{STEM}file").touch()
    (directory / "other").mkdir()
    in_use = RuntimeDirectory(str(directory))
    second = RuntimeDirectory(str(directory))
    left = {Path(in_use.path).name, Path(second.path).name, f"{STEM}file"}
    assert set(names(directory)) == left
    assert (directory / "other").exists()
    in_use.close()
    second.close()


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o777])
def test_a_directory_that_others_may_enter_is_not_used(directory: Path, mode: int) -> None:
    (directory / "run").mkdir()
    (directory / "run").chmod(mode)
    runtime = RuntimeDirectory(str(directory / "run"))
    assert names(directory / "run") == []
    assert runtime.path.startswith(f"/tmp/{STEM}")
    assert Path(runtime.path).stat().st_mode & 0o7777 == 0o700
    runtime.close()


@pytest.mark.parametrize("name", ["", "relative", "/no/such/directory", "/" + "x" * 90])
def test_without_a_directory_of_the_session_it_is_below_tmp(name: str) -> None:
    runtime = RuntimeDirectory(name)
    assert runtime.path.startswith(f"/tmp/{STEM}")
    runtime.close()


def test_a_link_is_not_followed(directory: Path) -> None:
    (directory / "real").mkdir(mode=0o700)
    (directory / "link").symlink_to("real")
    runtime = RuntimeDirectory(str(directory / "link"))
    assert runtime.path.startswith(f"/tmp/{STEM}")
    runtime.close()


@pytest.fixture
def somebody_else(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """From here on we are another account than the files' owner. Takes the place of /tmp."""
    fallback = directory / "tmp"
    (fallback / f"{STEM}stale").mkdir(parents=True)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    monkeypatch.setattr("unixspawner_singleuser.runtime_directory.FALLBACK", str(fallback))
    return fallback


def test_a_directory_of_another_account_is_not_used(directory: Path, somebody_else: Path) -> None:
    (directory / "run").mkdir(mode=0o700)
    runtime = RuntimeDirectory(str(directory / "run"))
    assert names(directory / "run") == []
    assert Path(runtime.path).parent == somebody_else
    runtime.close()


def test_what_another_account_left_is_not_cleared_away(somebody_else: Path) -> None:
    RuntimeDirectory("").close()
    assert names(somebody_else) == [f"{STEM}stale"]


# Logs


def test_no_two_logs_have_the_same_path() -> None:
    servers = ("", "a", "lab", "a.b", "a.lab", ".", "é", "x" * 65)
    applications = ("lab", "a", "b")
    paths = {log_path("/h", server, name) for server in servers for name in applications}
    assert len(paths) == len(servers) * len(applications)
    assert log_path("/h", "", "lab") == "/h/.local/state/unixspawner/application.lab.log"
    assert all(path.startswith("/h/.local/state/unixspawner/application.") for path in paths)
    assert all(path.count("/") == 5 for path in paths)


def test_a_new_log_keeps_the_one_before(directory: Path) -> None:
    path = log_path(str(directory), "", "lab")
    for text in (b"first\n", b"second\n"):
        log = open_log(path, str(directory))
        os.write(log.descriptor, text)
        log.close()
    assert Path(path).read_text().endswith(" start\nsecond\n")
    assert Path(f"{path}.1").read_text().endswith(" start\nfirst\n")
    assert Path(path).stat().st_mode & 0o7777 == 0o600
    assert last_log(path).endswith(b"second\n")
    assert last_log(f"{path}.2") == b""


def test_a_pipe_or_a_link_in_the_place_of_a_log_is_moved_out_of_the_way(directory: Path) -> None:
    path = Path(log_path(str(directory), "", "lab"))
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    open_log(str(path), str(directory)).close()
    assert path.is_file()
    path.unlink()
    (directory / "victim").write_text("untouched")
    path.symlink_to(directory / "victim")
    open_log(str(path), str(directory)).close()
    assert not path.is_symlink()
    assert (directory / "victim").read_text() == "untouched"


def test_a_pipe_is_not_read_as_an_old_log(directory: Path) -> None:
    os.mkfifo(directory / "pipe")
    assert last_log(str(directory / "pipe")) == b""
    (directory / "link").symlink_to("/etc/passwd")
    assert last_log(str(directory / "link")) == b""


@pytest.mark.parametrize("home", ["/no/such/home", "/dev/null"])
def test_a_home_that_is_none_takes_no_log(home: str) -> None:
    with pytest.raises(OSError):
        open_log(log_path(home, "", "lab"), home)
    assert not Path("/no").exists()


def test_the_spare_log_is_never_refused(directory: Path) -> None:
    for path in (directory / "spare.log", Path("/no/such/place/spare.log")):
        log = open_spare_log(str(path))
        os.write(log.descriptor, b"x\n")
        log.close()
    assert (directory / "spare.log").read_text().endswith("x\n")


def test_the_end_of_a_log_begins_with_a_whole_line(directory: Path) -> None:
    path = directory / "log"
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(100)))
    log = Log(os.open(path, os.O_RDONLY))
    assert log.tail(20) == b"line 98\nline 99\n"
    assert log.tail().startswith(b"line 0\n")
    assert log.read_from(0, 7) == b"line 0\n"
    assert log.read_from(10_000) == b""
    log.close()
    log.close()
    assert (log.tail(), log.read_from(0)) == (b"", b"")


def test_a_log_is_shown_without_what_only_a_terminal_understands() -> None:
    data = (
        b"bash: cannot set terminal process group (-1): Inappropriate ioctl for device\n"
        b"bash: no job control in this shell\n"
        b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain\x00\x08\r\n"
        b"\xff\xfe \xe2\x80\xaeevil\tand a tab\n\n" + b"x" * 2000 + b"\nlast without an end"
    )
    lines = list(readable_lines(data))
    expected = ["red plain", "\ufffd\ufffd evil\tand a tab", "x" * 1000, "last without an end"]
    assert lines == expected


# Placeholders


def test_only_our_words_in_braces_are_filled_in() -> None:
    values = {name: f"<{name}>{{home}}" for name in NAMES}
    assert filled("{socket}{x y}{}{ home }", values) == "<socket>{home}{x y}{}{ home }"
    assert first_unknown(["{socket}", "{1}", "{a-b}", "${HOME}"]) == "{HOME}"
    assert first_unknown(["{", "}", "{ socket }", "{name}{user}"]) == ""
    assert mentions("socket", ["a", "--sock={socket}"])
    assert not mentions("socket", ["a", "{ socket }", "{prefix}"])


# Patience


async def test_what_hangs_is_left_behind_and_others_are_not_held_up() -> None:
    release = threading.Event()
    for _ in range(MAX_STUCK):
        with pytest.raises(TimeoutError):
            await in_time(lambda: release.wait(30), 0.01)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await in_time(lambda: None, 30)
    assert time.monotonic() - began < 5
    assert await in_thread(lambda: 1) == 1
    release.set()
    for thread in list(patience._stuck):
        thread.join()
    assert await in_time(lambda: 2, 5) == 2
    assert patience._stuck == set()


async def test_what_goes_wrong_in_a_thread_is_told() -> None:
    def fail() -> None:
        raise OSError(5, "broken")

    with pytest.raises(OSError, match="broken"):
        await in_time(fail, 5)


async def test_nobody_hears_of_what_ends_too_late() -> None:
    release = threading.Event()
    waiting = asyncio.create_task(in_thread(lambda: release.wait(30)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    release.set()


# The server's own log


def logger_on(descriptor: int) -> tuple[logging.Logger, PatientHandler]:
    logger, handler = logging.Logger("test"), PatientHandler(descriptor)
    logger.addHandler(handler)
    return logger, handler


def test_what_cannot_be_written_is_counted_and_holds_nobody_up() -> None:
    read, write = os.pipe()
    logger, handler = logger_on(write)
    filling = b"x" * 4096
    os.set_blocking(write, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write, filling)
    os.set_blocking(write, True)
    for number in range(MAX_WAITING + 7):
        logger.warning("line %d", number)
    began = time.monotonic()
    handler.flush()
    assert time.monotonic() - began < 5
    with open(read, "rb", buffering=0) as pipe:
        text = b""
        while b"line 1\n" not in text:
            text += pipe.read(4096)
        logger.warning("later")
        while b"later\n" not in text:
            text += pipe.read(4096)
    said = text.lstrip(b"x").decode().splitlines()
    assert [line for line in said if line.startswith("line")] == [
        f"line {number}" for number in range(MAX_WAITING)
    ]
    assert "7 lines of this log were lost." in said
    handler.flush()
    os.close(write)


def test_a_log_on_a_full_disk_is_no_error() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    logger, handler = logger_on(full)
    logger.warning("lost")
    handler.flush()
    os.close(full)


def refuse_to_start(_thread: threading.Thread) -> None:
    """As where the account has as many processes as it may."""
    raise RuntimeError("can't start new thread")


async def test_what_must_be_done_is_done_without_a_thread_and_the_rest_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading.Thread, "start", refuse_to_start)
    assert await in_thread(lambda: 1) == 1
    with pytest.raises(BlockingIOError):
        await in_time(lambda: 1, 1)


def test_a_log_waits_for_a_thread_that_the_account_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who runs as many processes as he may has a server all the same."""
    with open(tmp_path / "log", "wb", buffering=0) as file:
        logger, handler = logger_on(file.fileno())
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse_to_start)
            logger.warning("one")
        logger.warning("two")
        handler.flush()
        assert (tmp_path / "log").read_text() == "one\ntwo\n"


# Processes


@pytest.fixture
def adopting() -> Iterator[None]:
    processes.adopt_orphans()
    yield
    processes.adopt_orphans(False)


def child(*words: str, mark: str = "", session: bool = True) -> subprocess.Popen[bytes]:
    environment = {"PATH": "/usr/bin:/bin"} | ({processes.MARKER: mark} if mark else {})
    return subprocess.Popen(words, env=environment, start_new_session=session)


FINDERS = [processes.listed_children, lambda pid: processes.scanned_children()(pid)]


@pytest.mark.parametrize("find", FINDERS, ids=["listed", "scanned"])
def test_both_ways_find_the_same_children(find: Callable[[int], list[int]]) -> None:
    with child("sleep", "100") as one, child("sleep", "100", session=False) as two:
        assert {one.pid, two.pid} <= set(find(os.getpid()))
        assert find(one.pid) == []
        one.kill()
        two.kill()


def test_children_in_our_own_session_are_not_an_applications(adopting: None) -> None:
    with child("sleep", "100", session=False) as helper, child("sleep", "100") as other:
        found = processes.below_us()
        assert helper.pid not in found
        assert other.pid in found
        other.kill()
        helper.kill()


def test_a_tree_ends_and_another_application_lives(adopting: None) -> None:
    script = "setsid sleep 100 & sleep 100 & env -i sleep 100 & wait"
    with child("sh", "-c", script, mark="a:1") as one, child("sleep", "100", mark="a:2") as two:
        deadline = time.monotonic() + 20
        while len(processes.find_tree("a:1", one.pid, set())) < 4:
            assert time.monotonic() < deadline
        assert processes.end_tree("a:1", one.pid)
        assert one.wait() == -signal.SIGTERM
        assert two.poll() is None
        two.kill()
    processes.reap_orphans(set())


def test_what_takes_no_notice_of_term_is_killed(adopting: None) -> None:
    script = (
        "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    )
    environment = {processes.MARKER: "a:1"}
    command = [sys.executable, "-I", "-S", "-c", script]
    with subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"1\n"
        began = time.monotonic()
        assert processes.end_tree("a:1", one.pid, patience=0.2)
        assert time.monotonic() - began >= 0.2
        assert one.wait() == -signal.SIGKILL


def test_a_child_of_ours_is_not_taken_away_from_who_waits_for_it(adopting: None) -> None:
    with child("true", session=False) as helper, child("true") as leader:
        for one in (helper, leader):
            os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
        processes.reap_orphans({leader.pid})
        assert helper.wait() == 0
        assert leader.wait() == 0


def test_orphans_are_buried(adopting: None) -> None:
    with child("sh", "-c", "sleep 0 & exec sleep 100") as parent:
        orphan = 0
        while not orphan:
            found = processes.listed_children(parent.pid)
            orphan = found[0] if found else 0
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 20
        while os.path.exists(f"/proc/{orphan}"):
            processes.reap_orphans(set())
            assert time.monotonic() < deadline


def test_the_directory_is_locked_while_it_is_used(directory: Path) -> None:
    runtime = RuntimeDirectory(str(directory))
    descriptor = os.open(runtime.path, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    runtime.close()
