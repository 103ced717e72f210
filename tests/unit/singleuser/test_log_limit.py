"""Logs stay bounded while programs write to them: real files, real programs that hold them open."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from unixspawner_singleuser import log_limit
from unixspawner_singleuser.log_limit import shorten_all

LIMIT = 1000


def log_of(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "server.log"
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    path = log_of(tmp_path, b"x" * LIMIT)
    shorten_all(str(tmp_path), LIMIT)
    assert path.stat().st_size == LIMIT
    assert os.listdir(tmp_path) == ["server.log"]


def test_a_long_one_is_emptied_and_its_end_is_kept(tmp_path: Path) -> None:
    path = log_of(tmp_path, b"begin" + b"x" * LIMIT + b"the end")
    (tmp_path / "server.log.1").write_text("the one before")
    shorten_all(str(tmp_path), LIMIT)
    assert path.read_bytes() == b""
    kept = tmp_path / "server.log.1"
    assert kept.stat().st_size == LIMIT
    assert kept.read_bytes().endswith(b"xthe end")
    assert kept.stat().st_mode & 0o7777 == 0o600


def test_a_program_that_holds_it_open_goes_on_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "application.notes.log"
    program = "import sys\nfor line in sys.stdin: print(line.strip() * 300, flush=True)"
    with path.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=output, text=True
        )
    with child:
        assert child.stdin is not None

        def write(text: str, size: int) -> None:
            assert child.stdin is not None
            child.stdin.write(f"{text}\n")
            child.stdin.flush()
            while path.stat().st_size != size:
                assert child.poll() is None

        for count in range(1, 5):
            write("a", 301 * count)
        shorten_all(str(tmp_path), LIMIT)
        write("b", 301)
        assert path.read_text() == "b" * 300 + "\n"
        child.stdin.close()
    assert child.returncode == 0


def test_what_is_no_log_of_ours_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"x" * 5000)
    (tmp_path / "link.log").symlink_to(precious)
    (tmp_path / "notes.txt").write_bytes(b"x" * 5000)
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    shorten_all(str(tmp_path), LIMIT)
    assert precious.stat().st_size == 5000
    assert (tmp_path / "notes.txt").stat().st_size == 5000


def test_a_link_in_the_place_of_the_copy_is_not_followed(tmp_path: Path) -> None:
    log_of(tmp_path, b"x" * 5000)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "server.log.1").symlink_to(precious)
    shorten_all(str(tmp_path), LIMIT)
    assert precious.read_text() == "precious"
    assert not (tmp_path / "server.log.1").is_symlink()


def test_without_room_for_a_copy_it_is_emptied_all_the_same(tmp_path: Path) -> None:
    path = log_of(tmp_path, b"x" * 5000)
    (tmp_path / "server.log.1").mkdir()  # what cannot be written, also for root
    shorten_all(str(tmp_path), LIMIT)
    assert path.stat().st_size == 0


def test_only_one_of_several_servers_does_it(tmp_path: Path) -> None:
    import fcntl

    path = log_of(tmp_path, b"x" * 5000)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        shorten_all(str(tmp_path), LIMIT)
        assert path.stat().st_size == 5000
    shorten_all(str(tmp_path), LIMIT)
    assert path.stat().st_size == 0


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    shorten_all(str(tmp_path / "none"), LIMIT)


def run_with_output(path: Path) -> str:
    """Which folder a server finds whose output goes to `path`; it says so on its error output."""
    program = (
        "import sys; from unixspawner_singleuser import log_limit;"
        "sys.stderr.write(log_limit._folder_of_our_log())"
    )
    with path.open("ab") as output:
        command = [sys.executable, "-c", program]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            command, stdout=output, stderr=subprocess.PIPE, text=True, check=True, env=environment
        )
    return done.stderr


def test_the_folder_is_the_one_of_our_own_output(tmp_path: Path) -> None:
    assert run_with_output(tmp_path / "server.log") == str(tmp_path)
    assert run_with_output(tmp_path / "output.txt") == ""
    assert run_with_output(Path("/dev/null")) == ""


@pytest.mark.parametrize("output", ["server.log"])
def test_a_server_looks_after_its_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    """The thread itself, at a quicker pace."""
    path = log_of(tmp_path, b"x" * 5000)
    monkeypatch.setattr(log_limit, "INTERVAL", 0.01)
    monkeypatch.setattr(log_limit, "_folder_of_our_log", lambda: str(tmp_path))
    monkeypatch.setattr(log_limit.shorten_all, "__defaults__", (LIMIT,))
    log_limit.keep_logs_short()
    while path.stat().st_size:
        pass
    assert (tmp_path / f"{output}.1").exists()


def test_a_server_goes_on_where_not_one_thread_more_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(log_limit, "_folder_of_our_log", lambda: str(tmp_path))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    log_limit.keep_logs_short()
    assert "may become long: can't start new thread" in caplog.text
