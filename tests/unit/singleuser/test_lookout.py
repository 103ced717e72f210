"""The hub says that it is time to look; the server asks who may still be here, itself included."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import ACCESS, PREFIX, Browser, FakeHub

from unixspawner_singleuser import lookout, marked
from unixspawner_singleuser.lookout import keep_looking
from unixspawner_singleuser.settings import MARKER

OWN_TOKEN = "secret-of-this-server"
MARK = "c" * 32


@pytest.fixture
async def looking(running: Running, hub: FakeHub) -> AsyncIterator[None]:
    """The hub knows this server; what runs in the background beside it runs from now on."""
    hub.tokens[OWN_TOKEN] = {"name": "alice", "kind": "user", "scopes": [], "groups": []}
    parts = running.application
    task = asyncio.create_task(
        keep_looking(parts.lookout, parts.settings, parts.hub, parts.sessions, parts.exchanges)
    )
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def say(directory: Path, *headers: str) -> str:
    """What the hub sends, over the socket; returns the first line of the answer."""
    reader, writer = await asyncio.open_unix_connection(str(directory / "server.sock"))
    lines = [f"POST {PREFIX}api HTTP/1.1", "Host: localhost", "Content-Length: 0", *headers]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n")[0].decode()


async def test_a_visitor_who_lost_access_is_out_at_once_and_the_owner_is_not(
    looking: None, alice: Browser, browser: Browser, hub: FakeHub, directory: Path
) -> None:
    token = next(token for token, user in hub.tokens.items() if user["scopes"] == [ACCESS])
    visitor = Browser(directory / "server.sock", hub)
    await visitor.sign_in(hub.admit("carol", ACCESS))
    theirs, own = await visitor.open(f"{PREFIX}ws"), await alice.open(f"{PREFIX}ws")
    hub.tokens = {name: user for name, user in hub.tokens.items() if name in (token, OWN_TOKEN)}
    assert await say(directory) == "HTTP/1.1 202 Accepted"
    assert (await theirs.receive(timeout=5)).data == 1008
    assert (await visitor.get(f"{PREFIX}whoami", Sec_Fetch_Mode="cors")).status == 403
    await own.send_str("still here")
    assert "still here" in (await own.receive_str())
    await own.close()
    await visitor.client.close()


async def test_a_server_that_the_hub_does_not_know_any_more_ends(
    looking: None, alice: Browser, hub: FakeHub, running: Running, directory: Path
) -> None:
    socket = await alice.open(f"{PREFIX}ws")
    hub.tokens.clear()
    await say(directory)
    assert (await socket.receive(timeout=5)).data == 1012
    await asyncio.wait_for(running.task, 5)


async def test_a_hub_that_is_away_ends_nothing(
    looking: None, alice: Browser, hub: FakeHub, running: Running, directory: Path
) -> None:
    socket = await alice.open(f"{PREFIX}ws")
    hub.status, hub.asked = 503, []
    await say(directory)
    while len(hub.asked) < 2:  # about the server itself, and about the session
        await asyncio.sleep(0.01)
    assert not running.task.done()
    await socket.send_str("x")
    assert "x" in (await socket.receive_str())
    await socket.close()


async def test_what_comes_through_the_proxy_is_not_the_hubs(
    looking: None, running: Running, hub: FakeHub, directory: Path
) -> None:
    hub.asked = []
    assert await say(directory, "X-Forwarded-For: 192.0.2.7") == "HTTP/1.1 404 Not Found"
    assert not running.application.lookout._told.is_set()
    assert hub.asked == []


async def test_being_told_again_and_again_is_one_look_a_second(
    looking: None, hub: FakeHub, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.asked = []
    for _ in range(20):
        await say(directory)
    assert 1 <= len(hub.asked) <= 2
    assert lookout.PAUSE >= 1


# What the server started


DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
signal.pause()
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """Ignores TERM, in a session of its own, without a parent that would know it."""
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF],
        env={MARKER: MARK},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_everything_with_the_mark_ends(child: subprocess.Popen[str]) -> None:
    assert marked.end_marked(MARK, 0.1) == 1
    assert child.wait() == -9


@pytest.mark.parametrize("mark", ["", MARK[:-1], MARK + "c", "d" * 32])
def test_nothing_else_does(child: subprocess.Popen[str], mark: str) -> None:
    assert marked.end_marked(mark, 0.1) == 0
    assert child.poll() is None
