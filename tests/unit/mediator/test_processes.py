"""What a stop finds and ends, on real processes of this account."""

import os
import pathlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from unixspawner_mediator import processes, system
from unixspawner_mediator.errors import Refusal
from unixspawner_mediator.protocol import ProcessIdentity

MARK = "a" * 32
OTHER = "b" * 32


def identity(pid: int) -> ProcessIdentity:
    found = processes.own_processes()[pid]
    return ProcessIdentity(pid, found.start_time, system.boot_id())


@pytest.fixture
def spawned() -> Iterator[list[subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []
    yield children
    for child in children:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def start(
    children: list[subprocess.Popen[bytes]], script: str, mark: str | None
) -> subprocess.Popen[bytes]:
    """A child that has printed one line, so that it is where the test wants it."""
    environment = {"PATH": os.environ["PATH"]} | ({processes.MARKER: mark} if mark else {})
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    children.append(child)
    return child


def first_line(child: subprocess.Popen[bytes]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().decode().strip()


SLEEP = "print('up', flush=True); import signal; signal.pause()"
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('up', flush=True)
while True:
    signal.pause()
"""
FAMILY = """
import os, signal, subprocess, sys
child = subprocess.Popen(['env', '-i', 'setsid', 'sleep', '1000'])
print(child.pid, flush=True)
signal.pause()
"""


def test_the_server_ends_and_its_neighbour_does_not(
    spawned: list[subprocess.Popen[bytes]],
) -> None:
    mine, neighbour = start(spawned, SLEEP, MARK), start(spawned, SLEEP, OTHER)
    assert [first_line(mine), first_line(neighbour)] == ["up", "up"]
    assert processes.end_tree(MARK, identity(mine.pid), 5) == 1
    assert mine.wait() == -15
    assert neighbour.poll() is None


def test_children_in_other_sessions_and_without_environment_end_too(
    spawned: list[subprocess.Popen[bytes]],
) -> None:
    server = start(spawned, FAMILY, MARK)
    child = int(first_line(server))
    assert processes.end_tree(MARK, identity(server.pid), 5) >= 2
    assert child not in processes.own_processes()


def test_who_ignores_term_is_killed(spawned: list[subprocess.Popen[bytes]]) -> None:
    server = start(spawned, DEAF, MARK)
    first_line(server)
    processes.end_tree(MARK, identity(server.pid), 0.1)
    assert server.wait() == -9


def test_a_recycled_pid_is_left_alone(spawned: list[subprocess.Popen[bytes]]) -> None:
    bystander = start(spawned, SLEEP, None)
    first_line(bystander)
    recycled = identity(bystander.pid)
    recycled = recycled._replace(start_time=recycled.start_time + 1)
    assert processes.end_tree(MARK, recycled, 5) == 0
    assert bystander.poll() is None


def test_a_process_that_we_did_not_start_is_refused(
    spawned: list[subprocess.Popen[bytes]],
) -> None:
    bystander = start(spawned, SLEEP, None)
    first_line(bystander)
    with pytest.raises(Refusal) as caught:
        processes.end_tree(MARK, identity(bystander.pid), 5)
    assert caught.value.code == "not-ours"
    assert bystander.poll() is None


def test_a_marker_must_match_as_a_whole(spawned: list[subprocess.Popen[bytes]]) -> None:
    longer = start(spawned, SLEEP, MARK + "a")
    first_line(longer)
    assert not processes.carries_marker(longer.pid, MARK)


@pytest.mark.skipif(os.getuid() == 0, reason="for root every process is its own to refuse or end")
def test_pid_1_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        processes.require_own(ProcessIdentity(1, 1, system.boot_id()))
    assert caught.value.code == "not-yours"


def test_a_log_that_is_a_trap_is_not_followed(tmp_path: pathlib.Path) -> None:
    from unixspawner_mediator.stop import read_tail

    secret = tmp_path / "secret"
    secret.write_text("secret")
    link, fifo = tmp_path / "link", tmp_path / "fifo"
    link.symlink_to(secret)
    os.mkfifo(fifo)
    assert [read_tail(str(path)) for path in (link, fifo, tmp_path, tmp_path / "no")] == [""] * 4


def test_the_tail_is_text_that_a_reply_may_carry(tmp_path: pathlib.Path) -> None:
    from unixspawner_mediator.stop import read_tail

    log = tmp_path / "log"
    log.write_bytes(b"old\n" * 5000 + b"\x1b[31mred\x00\r\n\xff\n")
    tail = read_tail(str(log))
    assert tail.endswith("old\n[31mred\n\ufffd\n")
    assert len(tail) == 2000
