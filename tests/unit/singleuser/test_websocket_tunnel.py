"""An open WebSocket: what passes, what counts as activity, and how it ends in good order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import Browser
from tests.unit.singleuser.raw import Reader, Writer, settled
from tests.unit.singleuser.raw_websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Talker,
    close,
    frame,
    hang_up,
    opened,
    received,
    sent,
)

PIECE = frame(BINARY, b"x" * 65536)
PUSHED = sent(BINARY, b"x" * 65536)
ENOUGH = 8 * 1024 * 1024
HALF = sent(BINARY, b"x" * 1000)[:500]


class TestWhatPasses:
    async def test_every_byte_of_every_frame_both_ways(
        self, alice: Browser, directory: Path
    ) -> None:
        app = Talker()
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
        app = Talker()
        async with opened(alice, directory, app) as (reader, writer):
            app.writer.write(PIECE[:100])
            assert await asyncio.wait_for(reader.readexactly(100), 5) == PIECE[:100]
            writer.write(PUSHED[:100])
            assert await asyncio.wait_for(app.reader.readexactly(100), 5) == PUSHED[:100]

    async def test_data_is_activity_and_ping_pong_and_close_are_not(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app, activity = Talker(), running.application.activity
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
        app, pushed = Talker(), [0]

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
        app = Talker()
        async with opened(alice, directory, app) as (_, writer):
            writer.write(PUSHED * 100)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.5)
            hang_up(writer)
            await running.at_rest()


class TestAnEndInGoodOrder:
    async def test_begun_by_the_browser(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Talker()
        async with opened(alice, directory, app) as (reader, writer):
            writer.write(sent(CLOSE, close(4002, b"enough")))
            assert await received(app.reader) == (CLOSE, close(4002, b"enough"))
            app.writer.write(frame(CLOSE, close(4002, b"indeed")))
            app.writer.close()
            assert await received(reader) == (CLOSE, close(4002, b"indeed"))
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await running.at_rest()

    async def test_begun_by_the_application(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        app = Talker()
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
            await running.at_rest()

    async def test_an_answer_to_the_end_need_not_come(
        self,
        alice: Browser,
        directory: Path,
        running: Running,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.websocket_tunnel.LINGER", 0.1)
        app = Talker()
        async with opened(alice, directory, app) as (reader, _):
            app.writer.write(frame(CLOSE, close(1000)))
            app.writer.close()
            assert await received(reader) == (CLOSE, close(1000))
            await running.at_rest()

    async def test_nothing_follows_a_close_frame(self, alice: Browser, directory: Path) -> None:
        app = Talker()
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
        app = Talker()
        last = frame(CLOSE, close(1000))
        async with opened(alice, directory, app) as (reader, _):
            app.writer.write(PIECE * 20 + last)
            app.writer.close()
            for _ in range(10):
                assert await reader.readexactly(2 * len(PIECE)) == 2 * PIECE
                await asyncio.sleep(0.1)
            assert await reader.read() == last
