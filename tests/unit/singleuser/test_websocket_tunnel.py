"""An open WebSocket: what passes, what counts as activity, and how it ends."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import PREFIX, Browser
from tests.unit.singleuser.raw import Reader, Writer, settled
from tests.unit.singleuser.raw_websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    opened,
    received,
    sent,
)

from unixspawner_singleuser.websocket_tunnel import Tunnel, Wire

PIECE = frame(BINARY, b"x" * 65536)
PUSHED = sent(BINARY, b"x" * 65536)
ENOUGH = 8 * 1024 * 1024
HALF = sent(BINARY, b"x" * 1000)[:500]


class Application:
    """Keeps its end of the connection until the test is over."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        self.reader, self.writer = reader, writer
        self.ready.set()
        await asyncio.get_running_loop().create_future()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def nothing_is_left(running: Running) -> None:
    exchanges, state = running.application.exchanges, running.server.server_state
    await eventually(lambda: not exchanges._open and not state.tasks)


def hang_up(writer: Writer) -> None:
    """As a program that dies: at once, unread bytes or not."""
    writer.transport.abort()


class TestWhatPasses:
    async def test_every_byte_of_every_frame_both_ways(
        self, alice: Browser, directory: Path
    ) -> None:
        app = Application()
        there = sent(TEXT, b"a") + sent(0x01, b"in ") + sent(PING, b"?") + sent(0x80, b"parts")
        back = (
            frame(BINARY) + frame(PONG, b"?") + frame(0x02, b"x" * 300) + frame(0x80, b"y" * 70_000)
        )
        async with opened(alice, directory, app) as (reader, writer):
            writer.write(there)
            assert await asyncio.wait_for(app.reader.readexactly(len(there)), 5) == there
            app.writer.write(back)
            assert await asyncio.wait_for(reader.readexactly(len(back)), 5) == back

    async def test_a_frame_moves_on_before_it_is_complete(
        self, alice: Browser, directory: Path
    ) -> None:
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(PIECE[:100])
            assert await asyncio.wait_for(reader.readexactly(100), 5) == PIECE[:100]
            writer.write(PUSHED[:100])
            assert await asyncio.wait_for(app.reader.readexactly(100), 5) == PUSHED[:100]

    async def test_data_is_activity_and_ping_pong_and_close_are_not(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app, activity = Application(), running.application.activity
        async with opened(alice, directory, app) as (reader, writer):

            async def counts(from_browser: bool, data: bytes) -> bool:
                activity._last = 0
                (writer if from_browser else app.writer).write(data)
                await received(app.reader if from_browser else reader)
                return activity._last > 0

            assert await counts(True, sent(TEXT, b"x"))
            assert await counts(False, frame(BINARY, b"x"))
            for first in (PING, PONG):
                assert not await counts(True, sent(first, b"x"))
                assert not await counts(False, frame(first, b"x"))
            assert not await counts(True, sent(CLOSE, close(1000)))
            assert not await counts(False, frame(CLOSE, close(1000)))


class TestBackpressure:
    async def test_a_slow_browser_slows_the_application(
        self, alice: Browser, directory: Path
    ) -> None:
        pushed = [0]

        async def talk(reader: Reader, writer: Writer) -> None:
            while True:
                writer.write(PIECE)
                await writer.drain()
                pushed[0] += len(PIECE)

        async with opened(alice, directory, talk) as (reader, _):
            await settled(pushed)
            assert 0 < pushed[0] < ENOUGH
            for _ in range(2 * ENOUGH // len(PIECE)):
                assert await reader.readexactly(len(PIECE)) == PIECE

    async def test_a_slow_application_slows_the_browser(
        self, alice: Browser, directory: Path
    ) -> None:
        app, pushed = Application(), [0]

        async def push(writer: Writer) -> None:
            while True:
                writer.write(PUSHED)
                await writer.drain()
                pushed[0] += len(PUSHED)

        async with opened(alice, directory, app) as (_, writer):
            pushing = asyncio.create_task(push(writer))
            await settled(pushed)
            assert 0 < pushed[0] < ENOUGH
            for _ in range(2 * ENOUGH // len(PUSHED)):
                assert await app.reader.readexactly(len(PUSHED)) == PUSHED
            pushing.cancel()

    async def test_a_browser_that_leaves_a_deaf_application_is_noticed(
        self,
        alice: Browser,
        directory: Path,
        running: Running,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("LOOK_EVERY", "LINGER", "LINGER_UNSENT"):
            monkeypatch.setattr(f"unixspawner_singleuser.websocket_tunnel.{name}", 0.1)
        app = Application()
        async with opened(alice, directory, app) as (_, writer):
            writer.write(PUSHED * 100)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.5)
            hang_up(writer)
            await nothing_is_left(running)


class TestAnEndInGoodOrder:
    async def test_begun_by_the_browser(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            writer.write(sent(CLOSE, close(4002, b"enough")))
            assert await received(app.reader) == (CLOSE, close(4002, b"enough"))
            app.writer.write(frame(CLOSE, close(4002, b"indeed")))
            app.writer.close()
            assert await received(reader) == (CLOSE, close(4002, b"indeed"))
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await nothing_is_left(running)

    async def test_begun_by_the_application(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(frame(TEXT, b"x" * 100_000) + frame(CLOSE, close(4001, b"enough")))
            app.writer.write_eof()
            assert await received(reader) == (TEXT, b"x" * 100_000)
            assert await received(reader) == (CLOSE, close(4001, b"enough"))
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.write(sent(CLOSE, close(4001)))  # it is still listening
            assert await received(app.reader) == (CLOSE, close(4001))
            writer.close()
            assert await asyncio.wait_for(app.reader.read(), 5) == b""
            app.writer.close()
            await nothing_is_left(running)

    async def test_an_answer_to_the_end_need_not_come(
        self,
        alice: Browser,
        directory: Path,
        running: Running,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.websocket_tunnel.LINGER", 0.1)
        app = Application()
        async with opened(alice, directory, app) as (reader, _):
            app.writer.write(frame(CLOSE, close(1000)))
            app.writer.close()
            assert await received(reader) == (CLOSE, close(1000))
            await nothing_is_left(running)

    async def test_nothing_follows_a_close_frame(self, alice: Browser, directory: Path) -> None:
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(frame(CLOSE, close(1000)) + frame(TEXT, b"more"))
            writer.write(sent(CLOSE, close(1000)) + sent(TEXT, b"more"))
            app.writer.write_eof()
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 5) == frame(CLOSE, close(1000))
            assert await asyncio.wait_for(app.reader.read(), 5) == sent(CLOSE, close(1000))

    async def test_what_is_left_is_read_slowly_and_to_its_end(
        self, alice: Browser, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.websocket_tunnel.LINGER", 0.05)
        app = Application()
        last = frame(CLOSE, close(1000))
        async with opened(alice, directory, app) as (reader, _):
            app.writer.write(PIECE * 20 + last)
            app.writer.close()
            for _ in range(10):
                assert await reader.readexactly(2 * len(PIECE)) == 2 * PIECE
                await asyncio.sleep(0.1)
            assert await reader.read() == last


class TestASideThatVanishes:
    async def test_the_application_between_frames(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(frame(TEXT, b"x"))
            assert await received(reader) == (TEXT, b"x")
            hang_up(app.writer)
            assert await received(reader) == (CLOSE, close(1014))
            assert await reader.read() == b""
            writer.close()
            await nothing_is_left(running)

    async def test_the_application_within_a_header(self, alice: Browser, directory: Path) -> None:
        app = Application()
        async with opened(alice, directory, app) as (reader, _):
            app.writer.write(frame(TEXT, b"x") + PIECE[:5])
            assert await received(reader) == (TEXT, b"x")
            hang_up(app.writer)
            assert await received(reader) == (CLOSE, close(1014))

    async def test_the_application_within_a_frame(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(PIECE[:5000])
            assert await reader.readexactly(5000) == PIECE[:5000]
            hang_up(app.writer)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await nothing_is_left(running)

    async def test_the_browser_between_frames(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Application()
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
            await nothing_is_left(running)

    async def test_the_browser_within_a_frame(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Application()
        async with opened(alice, directory, app) as (_, writer):
            writer.write(HALF)
            assert await app.reader.readexactly(500) == HALF
            hang_up(writer)
            assert await asyncio.wait_for(app.reader.read(), 5) == b""
            app.writer.close()
            await nothing_is_left(running)

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
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            writer.write(sent(TEXT, b"good") + frame(TEXT, b"bad") + sent(TEXT, b"after"))
            assert await received(app.reader) == (TEXT, b"good")
            assert await received(app.reader) == (CLOSE, close(1001))
            assert await app.reader.read() == b""
            assert await received(reader) == (CLOSE, close(1002))
            assert await reader.read() == b""
            app.writer.close()
            writer.close()
            await nothing_is_left(running)

    async def test_from_the_application(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(frame(TEXT, b"good") + sent(TEXT, b"bad") + frame(TEXT, b"after"))
            assert await received(reader) == (TEXT, b"good")
            assert await received(reader) == (CLOSE, close(1014))
            assert await reader.read() == b""
            assert await received(app.reader) == (CLOSE, close(1002))
            writer.close()
            app.writer.close()
            await nothing_is_left(running)


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
        app = Application()
        async with opened(alice, directory, app) as (reader, writer):
            await end(alice, running)
            assert await received(reader) == (CLOSE, close(code))
            assert await received(app.reader) == (CLOSE, close(1001))
            app.writer.write(frame(TEXT, b"too late"))
            writer.write(sent(TEXT, b"too late"))
            assert (await reader.read(), await app.reader.read()) == (b"", b"")
            app.writer.close()
            writer.close()
            await nothing_is_left(running)

    async def test_cuts_what_is_in_the_middle_of_a_frame(
        self, alice: Browser, directory: Path, running: Running, end: End, code: int
    ) -> None:
        app = Application()
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
        app = Application()
        async with opened(alice, directory, app) as (_, writer):
            writer.write(PUSHED * 100)
            app.writer.write(PIECE * 100)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.3)
            begin = asyncio.get_running_loop().time()
            await end(alice, running)
            await nothing_is_left(running)
            assert asyncio.get_running_loop().time() - begin < 1.5
