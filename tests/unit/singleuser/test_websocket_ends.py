"""How a WebSocket ends when nobody says goodbye, or when it is us who do."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import PREFIX, Browser
from tests.unit.singleuser.raw import eventually
from tests.unit.singleuser.raw_websocket import (
    BINARY,
    CLOSE,
    TEXT,
    Talker,
    close,
    frame,
    hang_up,
    opened,
    received,
    sent,
)

from unixspawner_singleuser.connections import Wire
from unixspawner_singleuser.websocket_tunnel import Tunnel

PIECE = frame(BINARY, b"x" * 65536)
PUSHED = sent(BINARY, b"x" * 65536)
ENOUGH = 8 * 1024 * 1024
HALF = sent(BINARY, b"x" * 1000)[:500]


class TestASideThatVanishes:
    async def test_the_application_between_frames(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(frame(TEXT, b"x"))
            assert await received(reader) == (TEXT, b"x")
            hang_up(app.writer)
            assert await received(reader) == (CLOSE, close(1014))
            assert await reader.read() == b""
            writer.close()
            await running.at_rest()

    async def test_the_application_within_a_header(self, alice: Browser, directory: Path) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (reader, _):
            app.writer.write(frame(TEXT, b"x") + PIECE[:5])
            assert await received(reader) == (TEXT, b"x")
            hang_up(app.writer)
            assert await received(reader) == (CLOSE, close(1014))

    async def test_the_application_within_a_frame(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(PIECE[:5000])
            assert await reader.readexactly(5000) == PIECE[:5000]
            hang_up(app.writer)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await running.at_rest()

    async def test_the_browser_between_frames(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (_, writer):
            writer.write(sent(TEXT, b"x"))
            assert await received(app.reader) == (TEXT, b"x")
            hang_up(writer)
            first = await app.reader.readexactly(2)
            assert first == bytes((CLOSE, 0x82))  # masked
            mask = await app.reader.readexactly(4)
            code = bytes(a ^ b for a, b in zip(await app.reader.readexactly(2), mask, strict=False))
            assert code == close(1001)
            assert await app.reader.read() == b""
            app.writer.close()
            await running.at_rest()

    async def test_the_browser_within_a_frame(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (_, writer):
            writer.write(HALF)
            assert await app.reader.readexactly(500) == HALF
            hang_up(writer)
            assert await asyncio.wait_for(app.reader.read(), 5) == b""
            app.writer.close()
            await running.at_rest()

    async def test_last_words_are_heard_although_nothing_was_listened_to(self) -> None:
        """The kernel fails our next write at once; what the application said is still unread."""
        browser, application = Pair(), Pair()
        tunnel = Tunnel(
            await browser.wire(), await application.wire(), extended=False, on_data=lambda: None
        )
        running = asyncio.create_task(tunnel.run())
        browser.theirs.sendall(sent(TEXT, b"x"))
        await eventually(lambda: bool(select.select([application.theirs], [], [], 0)[0]))
        last = frame(TEXT, b"no more") + frame(CLOSE, close(4003, b"too much"))
        application.theirs.sendall(last)
        application.theirs.close()
        tunnel._browser.data_received(sent(TEXT, b"y"))  # before the loop looks at the other one
        await eventually(lambda: bool(select.select([browser.theirs], [], [], 0)[0]))
        assert browser.theirs.recv(1000) == last
        browser.theirs.close()
        await asyncio.wait_for(running, 5)


class Pair:
    """Two connected sockets, of which one is the server's."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()

    async def wire(self) -> Wire:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=self.ours)
        return Wire(transport, b"")


class TestWhatIsNoWebSocket:
    async def test_from_the_browser(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (reader, writer):
            writer.write(sent(TEXT, b"good") + frame(TEXT, b"bad") + sent(TEXT, b"after"))
            assert await received(app.reader) == (TEXT, b"good")
            assert await received(app.reader) == (CLOSE, close(1001))
            assert await app.reader.read() == b""
            assert await received(reader) == (CLOSE, close(1002))
            assert await reader.read() == b""
            app.writer.close()
            writer.close()
            await running.at_rest()

    async def test_from_the_application(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(frame(TEXT, b"good") + sent(TEXT, b"bad") + frame(TEXT, b"after"))
            assert await received(reader) == (TEXT, b"good")
            assert await received(reader) == (CLOSE, close(1014))
            assert await reader.read() == b""
            assert await received(app.reader) == (CLOSE, close(1002))
            writer.close()
            app.writer.close()
            await running.at_rest()


End = Callable[[Browser, Running], Awaitable[object]]


async def sign_out(alice: Browser, running: Running) -> None:
    await alice.get(PREFIX + "logout")


async def stop(alice: Browser, running: Running) -> None:
    running.server.stop()
    await eventually(lambda: running.application.exchanges._stopping)


@pytest.mark.parametrize(("end", "code"), [(sign_out, 1008), (stop, 1012)])
class TestAnEndFromOutside:
    async def test_is_said_to_both(
        self, alice: Browser, directory: Path, running: Running, end: End, code: int
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (reader, writer):
            await end(alice, running)
            assert await received(reader) == (CLOSE, close(code))
            assert await received(app.reader) == (CLOSE, close(1001))
            app.writer.write(frame(TEXT, b"too late"))
            writer.write(sent(TEXT, b"too late"))
            assert (await reader.read(), await app.reader.read()) == (b"", b"")
            app.writer.close()
            writer.close()
            await running.at_rest()

    async def test_cuts_what_is_in_the_middle_of_a_frame(
        self, alice: Browser, directory: Path, running: Running, end: End, code: int
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(PIECE[:500])
            assert await reader.readexactly(500) == PIECE[:500]
            writer.write(HALF)
            assert await app.reader.readexactly(500) == HALF
            await end(alice, running)
            app.writer.write(PIECE[500:])
            assert await asyncio.wait_for(reader.read(), 5) == b""
            assert await asyncio.wait_for(app.reader.read(), 5) == b""

    async def test_waits_for_nobody(
        self, alice: Browser, directory: Path, running: Running, end: End, code: int
    ) -> None:
        """Neither side reads, and neither answers."""
        app = Talker()
        async with opened(alice, directory, app) as (_, writer):
            writer.write(PUSHED * 100)
            app.writer.write(PIECE * 100)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.3)
            begin = asyncio.get_running_loop().time()
            await end(alice, running)
            await running.at_rest()
            assert asyncio.get_running_loop().time() - begin < 1.5
