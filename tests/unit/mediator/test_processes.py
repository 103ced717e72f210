"""What a stop finds and ends, on real processes of this account."""

import os
import secrets
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from unixspawner_mediator import processes, system
from unixspawner_mediator.errors import Refusal
from unixspawner_mediator.protocol import ProcessIdentity, unknown_process

# Not the same in two runs: whoever carries a mark is ended, also another run's children.
MARK, OTHER = secrets.token_hex(16), secrets.token_hex(16)


def identity(pid: int) -> ProcessIdentity:
    found = processes.own_processes(set())[pid]
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
# The child says its number once it is deaf; the parent dies of TERM at once.
DEAF_CHILD = """
import signal, subprocess
subprocess.Popen(['env', '-i', 'sh', '-c', 'trap "" TERM; echo $$; exec sleep 1000'])
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
    assert processes.end_tree(MARK, identity(mine.pid), 5) == (1, 0)
    assert mine.wait() == -15
    assert neighbour.poll() is None


def test_children_in_other_sessions_and_without_environment_end_too(
    spawned: list[subprocess.Popen[bytes]],
) -> None:
    server = start(spawned, FAMILY, MARK)
    child = int(first_line(server))
    assert processes.end_tree(MARK, identity(server.pid), 5)[0] >= 2
    assert child not in processes.own_processes(set())


def test_a_deaf_child_without_environment_ends_though_its_parent_ends_first(
    spawned: list[subprocess.Popen[bytes]],
) -> None:
    server = start(spawned, DEAF_CHILD, MARK)
    child = int(first_line(server))
    assert processes.end_tree(MARK, identity(server.pid), 0.3)[1] == 0
    assert child not in processes.own_processes(set())


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
    assert processes.end_tree(MARK, recycled, 5) == (0, 0)
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


def test_without_a_process_the_marker_alone_tells(
    spawned: list[subprocess.Popen[bytes]],
) -> None:
    mine, neighbour = start(spawned, SLEEP, MARK), start(spawned, SLEEP, OTHER)
    assert [first_line(mine), first_line(neighbour)] == ["up", "up"]
    nobody = unknown_process(system.boot_id())
    processes.require_own(nobody)
    assert processes.end_tree(MARK, nobody, 5) == (1, 0)
    assert mine.wait() == -15
    assert neighbour.poll() is None
