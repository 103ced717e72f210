"""A proxy that is there and does not answer: who waits for its end waits for nothing."""

import asyncio
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from unixspawner import proxy_process
from unixspawner.proxy import UnixProxy
from unixspawner.proxy_process import ProxyProcess, is_awake

STAND_IN = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("up", flush=True)
while True:
    connection, _ = listener.accept()
    if sys.argv[2] == "answers":
        connection.recv(100)
        connection.send(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n")
        connection.close()
"""

Process = subprocess.Popen[bytes]


class Watched(UnixProxy):
    """Asked for its routes it never answers: `looks` counts how often it was asked."""

    api_url = ""
    looks = 0

    async def _answers(self) -> bool:
        self.looks += 1
        return False


@pytest.fixture
def proxy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr("unixspawner.proxy.ANSWER", 0.2)
    monkeypatch.setattr(proxy_process, "PATIENCE", 0.2)
    proxy = Watched(look_interval=1.0, token_file=str(tmp_path / "token"))
    proxy.api_url = f"http+unix://{str(tmp_path / 'api').replace('/', '%2F')}"
    return proxy


@pytest.fixture
def process(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[Process]:
    words = [sys.executable, "-c", STAND_IN, str(tmp_path / "api"), request.param]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def held(process: Process) -> ProxyProcess:
    found = ProxyProcess.hold(process.pid)
    assert found is not None
    return found


@pytest.mark.parametrize("process", ["is silent"], indirect=True)
async def test_one_that_is_silent_is_ended(proxy: Watched, process: Process) -> None:
    handle = held(process)
    await proxy._until_ended(handle)
    assert process.wait() == -15
    assert proxy.looks == 1  # after the first look has failed
    handle.close()


@pytest.mark.parametrize("process", ["answers"], indirect=True)
async def test_one_that_answers_goes_on(proxy: Watched, process: Process) -> None:
    handle = held(process)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(proxy._until_ended(handle), 2.5)
    assert (process.poll(), proxy.looks) == (None, 0)
    handle.close()


@pytest.mark.parametrize("process", ["answers"], indirect=True)
async def test_the_end_of_one_is_seen_at_once(proxy: Watched, process: Process) -> None:
    proxy.look_interval = 600.0
    handle = held(process)
    watching = asyncio.create_task(proxy._until_ended(handle))
    await asyncio.sleep(0)
    process.kill()
    await asyncio.wait_for(watching, 10)
    assert proxy.looks == 0
    handle.close()


@pytest.mark.parametrize(
    ("process", "answers"), [("answers", True), ("is silent", False)], indirect=["process"]
)
async def test_whether_one_is_awake(
    process: Process, tmp_path: pathlib.Path, answers: bool
) -> None:
    assert await is_awake(str(tmp_path / "api"), 0.5) is answers
    assert not await is_awake(str(tmp_path / "nobody"), 0.5)
