"""Work in a child: what comes back, what does not, and that nothing is left of it."""

from __future__ import annotations

import errno
import os
import pwd
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from unixspawner_admin.as_account import Emit, TooMuchError, TooSlowError, call, stream
from unixspawner_admin.errors import AdminError

ME = pwd.getpwuid(os.getuid()).pw_name
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another account")


@pytest.fixture(autouse=True)
def _no_children_are_left() -> Iterator[None]:
    descriptors = sorted(os.listdir("/proc/self/fd"))
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert sorted(os.listdir("/proc/self/fd")) == descriptors


def test_what_is_emitted_comes_back() -> None:
    def work(emit: Emit) -> None:
        for number in range(3):
            emit(f"{number}".encode() * 100_000)

    assert call(ME, work, 5) == b"0" * 100_000 + b"1" * 100_000 + b"2" * 100_000


def test_nothing_is_an_answer_too() -> None:
    assert call(ME, lambda emit: None, 5) == b""


@needs_root
def test_the_child_is_the_account_for_good() -> None:
    def work(emit: Emit) -> None:
        emit(repr((os.getresuid(), os.getresgid(), sorted(os.getgroups()))).encode())
        os.setuid(0)

    entry = pwd.getpwnam("nobody")
    with pytest.raises(PermissionError):
        call("nobody", lambda emit: os.setuid(0), 5)
    groups = sorted(os.getgrouplist("nobody", entry.pw_gid))
    expected = repr(((entry.pw_uid,) * 3, (entry.pw_gid,) * 3, groups))
    assert call("nobody", work, 5).decode() == expected


@needs_root
def test_what_root_alone_may_read_is_not_read() -> None:
    with pytest.raises(PermissionError):
        call("nobody", lambda emit: emit(Path("/etc/shadow").read_bytes()), 5)


def test_errors_come_back_as_they_are() -> None:
    def fail(_emit: Emit) -> None:
        raise AdminError("One sentence.")

    with pytest.raises(AdminError, match=r"^One sentence\.$"):
        call(ME, fail, 5)
    with pytest.raises(FileNotFoundError) as caught:
        call(ME, lambda emit: os.unlink("/nonexistent"), 5)
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(AdminError, match="Internal error: ZeroDivisionError"):
        call(ME, lambda emit: emit(b"" * (1 // 0)), 5)


def test_what_hangs_is_ended_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(TooSlowError):
        call(ME, lambda emit: signal.pause(), 0.3)

    def begin_and_hang(emit: Emit) -> None:
        emit(b"x")
        signal.pause()

    with pytest.raises(TooSlowError):
        call(ME, begin_and_hang, 0.3)
    assert time.monotonic() - began < 3


def test_what_says_too_much_is_ended() -> None:
    def chatter(emit: Emit) -> None:
        while True:
            emit(b"x" * 4096)

    with pytest.raises(TooMuchError):
        call(ME, chatter, 5, limit=100_000)


def test_a_child_that_was_killed_gave_no_answer() -> None:
    with pytest.raises(AdminError, match="somebody killed it"):
        call(ME, lambda emit: os.kill(os.getpid(), signal.SIGKILL), 5)


def test_a_stream_gives_each_piece_when_it_comes_and_ends_with_its_reader() -> None:
    def tell(emit: Emit) -> None:
        emit(f"{os.getpid()}".encode())
        signal.pause()

    with stream(ME, tell, 5) as pieces:
        pid = int(next(pieces))
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_account_that_does_not_exist_is_said() -> None:
    with pytest.raises(AdminError, match="There is no account nobody-of-that-name"):
        call("nobody-of-that-name", lambda emit: None, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may become anybody")
def test_others_than_root_are_told_so() -> None:
    with pytest.raises(AdminError, match="must be run by root"):
        call("root", lambda emit: None, 1)


def test_the_child_has_nothing_to_do_with_the_terminal() -> None:
    def look(emit: Emit) -> None:
        emit(repr([os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)]).encode())

    assert call(ME, look, 5) == b"['/dev/null', '/dev/null', '/dev/null']"
