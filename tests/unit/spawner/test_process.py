"""A server's process is known by boot, pid and start time, and watched without a signal."""

import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from unixspawner import readiness, sockets
from unixspawner.process import ServerProcess, _start_time, boot_id
from unixspawner.waiting import readable
from unixspawner_mediator.protocol import ProcessIdentity

ME = os.getuid()
SERVE = """
import socket, sys
with socket.socket(fileno=0) as listener:
    connection, _ = listener.accept()
    request = connection.recv(1000)
    connection.sendall(b'HTTP/1.1 404 Not Found\\r\\n\\r\\n')
sys.exit(3)
"""
DIE = "import sys; sys.exit(3)"
HANG_UP = """
import socket, sys
with socket.socket(fileno=0) as listener:
    listener.accept()[0].close()
    sys.stdin.close()
    import time
    time.sleep(0.5)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


def identity(pid: int) -> ProcessIdentity:
    return ProcessIdentity(pid, _start_time(pid), boot_id())


async def test_a_running_process_is_adopted_and_its_end_is_seen(
    child: subprocess.Popen[bytes],
) -> None:
    process = ServerProcess.verify(identity(child.pid), ME, child)
    assert process is not None
    assert process.poll() is None
    child.kill()
    await readable(process.handle)
    child.wait()
    assert process.poll() == -9
    process.close()


def test_without_its_sudo_only_the_end_is_known(child: subprocess.Popen[bytes]) -> None:
    process = ServerProcess.verify(identity(child.pid), ME)
    assert process is not None
    child.kill()
    child.wait()
    assert process.poll() == 0
    process.close()


@pytest.mark.parametrize(
    "change",
    [
        {"start_time": 1},
        {"boot_id": "00000000-0000-0000-0000-000000000000"},
        {"pid": 2**22 + 1},
    ],
)
def test_any_other_process_is_not(
    child: subprocess.Popen[bytes], change: dict[str, int | str]
) -> None:
    assert ServerProcess.verify(identity(child.pid)._replace(**change), ME) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("uid", [ME + 1, 4_000_000_000])
def test_a_process_of_somebody_else_is_not(child: subprocess.Popen[bytes], uid: int) -> None:
    assert ServerProcess.verify(identity(child.pid), uid) is None


async def first_answer(script: str, directory: pathlib.Path) -> subprocess.Popen[bytes]:
    path = sockets.fresh_path(str(directory))
    with sockets.listen(path) as listener:
        server = subprocess.Popen([sys.executable, "-c", script], stdin=listener.fileno())
    process = ServerProcess.verify(identity(server.pid), ME, server)
    assert process is not None
    try:
        await readiness.first_answer(path, "/user/alice/api", process)
    finally:
        server.wait()
        process.close()
    return server


async def test_any_answer_is_an_answer(tmp_path: pathlib.Path) -> None:
    await first_answer(SERVE, tmp_path)


async def test_a_server_that_dies_is_noticed_at_once(tmp_path: pathlib.Path) -> None:
    with pytest.raises(readiness.EndedEarlyError):
        await first_answer(DIE, tmp_path)


async def test_a_server_that_hangs_up_is_left_to_the_hub(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "HANG_UP", 0.05)
    await first_answer(HANG_UP, tmp_path)


def test_sockets_are_fresh_private_and_lower_case(tmp_path: pathlib.Path) -> None:
    paths = [sockets.fresh_path(str(tmp_path)) for _ in range(3)]
    assert len(set(paths)) == 3
    for path in paths:
        listener = sockets.listen(path)
        assert os.path.basename(path) == os.path.basename(path).lower()
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        listener.close()
        sockets.remove(path)
    assert list(tmp_path.iterdir()) == []


def test_only_sockets_of_ours_are_removed(tmp_path: pathlib.Path) -> None:
    other = tmp_path / "jupyterhub.sqlite"
    other.write_text("kept")
    sockets.remove(str(other))
    assert other.exists()


def test_a_sockets_url_is_what_the_proxy_reads() -> None:
    assert sockets.url("/run/x/a.sock") == "http+unix://%2Frun%2Fx%2Fa.sock"
