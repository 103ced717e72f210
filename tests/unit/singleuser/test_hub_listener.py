"""Questions go to the hub and to nobody else, and an answer is one bounded answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import ACCESS, FakeHub, settings

from unixspawner_singleuser.account import uid_of
from unixspawner_singleuser.errors import ConfigurationError, HubUnavailableError
from unixspawner_singleuser.hub import Hub

SOMEBODY_ELSE = os.getuid() + 1
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def test_the_hub_is_asked_when_its_account_listens(directory: Path, hub: FakeHub) -> None:
    client = Hub(replace(settings(directory), hub_uid=os.getuid()))
    visitor = await client.visitor(hub.admit("alice", ACCESS))
    assert visitor is not None
    assert visitor.name == "alice"
    assert await client.version() == "6.1.1"


@asynccontextmanager
async def listening(directory: Path, handler: Handler) -> AsyncIterator[None]:
    async with await asyncio.start_unix_server(handler, directory / "hub.sock"):
        yield


async def test_whoever_else_listens_is_told_nothing(directory: Path) -> None:
    """A container engine's socket, say, which the hub names and the person may open."""
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())
        writer.close()

    async with listening(directory, hear):
        client = Hub(replace(settings(directory), hub_uid=SOMEBODY_ELSE))
        with pytest.raises(HubUnavailableError, match="somebody else than the hub"):
            await client.visitor("secret")
        assert await asyncio.wait_for(heard, 5) == b""


async def test_a_link_from_the_hubs_place_leads_no_further(directory: Path) -> None:
    """The directory of the hub's socket is the hub's: what counts is who listens in the end."""
    (directory / "engine").mkdir()
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())
        writer.close()

    async with listening(directory / "engine", hear):
        (directory / "hub.sock").symlink_to(directory / "engine/hub.sock")
        client = Hub(replace(settings(directory), hub_uid=SOMEBODY_ELSE))
        with pytest.raises(HubUnavailableError, match="somebody else than the hub"):
            await client.visitor("secret")
        assert await asyncio.wait_for(heard, 5) == b""


def test_with_an_account_to_expect_a_port_is_refused(directory: Path) -> None:
    over_tcp = replace(settings(directory), api_url="http://127.0.0.1:8081/hub/api")
    assert Hub(over_tcp)
    with pytest.raises(ConfigurationError, match="must name a Unix socket"):
        Hub(replace(over_tcp, hub_uid=os.getuid()))


def test_an_account_that_does_not_exist_is_a_mistake() -> None:
    assert uid_of("root") == 0
    with pytest.raises(ConfigurationError, match="no account no-such-account"):
        uid_of("no-such-account")


ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 0x10000
BROKEN = {
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "an endless one": ENDLESS,
    "not a visitor": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "deep": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"[" * 99999,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_answer_lets_nobody_in(directory: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        while answer is ENDLESS and not writer.is_closing():
            writer.write(b"\r\n10000\r\n" + b"x" * 0x10000)
            await writer.drain()
        writer.close()

    async def tolerant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            writer.close()

    async with listening(directory, tolerant):
        client = Hub(settings(directory))
        with pytest.raises(HubUnavailableError):
            await client.visitor("token")
        await client.close()


@pytest.mark.parametrize("token", ["a b", "a\r\nX: y", "é", "a\0"])
async def test_a_token_adds_no_line(directory: Path, hub: FakeHub, token: str) -> None:
    client = Hub(settings(directory))
    with pytest.raises(HubUnavailableError, match="cannot be sent"):
        await client.visitor(token)
    assert hub.asked == []
