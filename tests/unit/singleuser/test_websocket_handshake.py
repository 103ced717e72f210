"""What is taken for a WebSocket's handshake, and what may happen until it is answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import HOST, PREFIX, Browser, FakeUpstream
from tests.unit.singleuser.raw import (
    Reader,
    Writer,
    answer_to,
    application,
    connection,
    head,
)
from tests.unit.singleuser.raw_websocket import (
    KEY,
    TEXT,
    accepted,
    frame,
    handshake,
    received,
    sent,
)

UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]
VERSION = "Sec-WebSocket-Version: 13"
SMUGGLED = f"GET {PREFIX}smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


async def nothing(reader: Reader, writer: Writer) -> None:
    await reader.read()


class TestTheBrowsersHalf:
    @pytest.mark.parametrize(
        ("method", "lines"),
        [
            ("POST", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}"]),
            ("GET", [*UPGRADE, VERSION]),
            ("GET", [*UPGRADE, VERSION, "Sec-WebSocket-Key: c2hvcnQ="]),
            ("GET", [*UPGRADE, VERSION, "Sec-WebSocket-Key: " + "A" * 24]),
            ("GET", [*UPGRADE, VERSION, *2 * [f"Sec-WebSocket-Key: {KEY}"]]),
            ("GET", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}, {KEY}"]),
            ("GET", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}", "Content-Length: 4"]),
            ("GET", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}", "Content-Length: 0"]),
            ("GET", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}", "Transfer-Encoding: chunked"]),
            ("GET", [*UPGRADE, "Upgrade: h2c", VERSION, f"Sec-WebSocket-Key: {KEY}"]),
            ("GET", [UPGRADE[0], "Upgrade: h2c, WebSocket", VERSION, f"Sec-WebSocket-Key: {KEY}"]),
        ],
        ids=lambda value: ascii(value)[-60:],
    )
    async def test_anything_but_a_plain_handshake_is_refused(
        self,
        alice: Browser,
        directory: Path,
        upstream: FakeUpstream,
        method: str,
        lines: list[str],
    ) -> None:
        request = head(alice, method, "ws", *lines) + SMUGGLED
        answer = await answer_to(directory, request)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert upstream.seen == []

    async def test_so_is_one_in_an_old_version_of_http(
        self, alice: Browser, directory: Path, upstream: FakeUpstream
    ) -> None:
        old = handshake(alice).replace(b" HTTP/1.1", b" HTTP/1.0", 1)
        assert (await answer_to(directory, old)).startswith(b"HTTP/1.1 400 ")
        assert upstream.seen == []

    @pytest.mark.parametrize("version", ["8", "14", "13, 8", "", None])
    async def test_another_version_is_told_ours(
        self, alice: Browser, directory: Path, upstream: FakeUpstream, version: str | None
    ) -> None:
        line = [] if version is None else [f"Sec-WebSocket-Version: {version}"]
        request = head(alice, "GET", "ws", *UPGRADE, *line, f"Sec-WebSocket-Key: {KEY}")
        answer = await answer_to(directory, request)
        assert answer.startswith(b"HTTP/1.1 426 ")
        assert b"\r\nsec-websocket-version: 13\r\n" in answer
        assert upstream.seen == []

    @pytest.mark.parametrize("protocol", ["h2c", "TLS/1.0", "websockets"])
    async def test_no_other_protocol_is_changed_to(
        self, alice: Browser, directory: Path, upstream: FakeUpstream, protocol: str
    ) -> None:
        lines = ["Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: A"]
        answer = await answer_to(directory, head(alice, "GET", "x", *lines) + SMUGGLED)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"upgrade" not in answer.lower()
        assert b"http2-settings" not in answer.lower()
        assert upstream.seen == ["/x"]

    async def test_a_body_before_another_protocol_is_refused(
        self, alice: Browser, directory: Path, upstream: FakeUpstream
    ) -> None:
        request = head(
            alice, "POST", "x", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 3"
        )
        answer = await answer_to(directory, request + b"abc" + SMUGGLED)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert upstream.seen == []

    async def test_a_handshake_waits_for_no_earlier_answer(
        self, alice: Browser, directory: Path, upstream: FakeUpstream
    ) -> None:
        answer = await answer_to(directory, head(alice, "GET", "slow") + handshake(alice))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert "/ws" not in upstream.seen

    async def test_what_comes_early_is_not_lost(self, alice: Browser, directory: Path) -> None:
        pieces = [sent(TEXT, b"one"), sent(TEXT, b"two")[:5], sent(TEXT, b"two")[5:]]

        async def talk(reader: Reader, writer: Writer) -> None:
            heard = [(await received(reader))[1] for _ in range(2)]
            writer.write(frame(TEXT, b"+".join(heard)))

        connected = asyncio.Event()
        asked = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            connected.set()
            await asked.wait()
            await accepted(talk)(reader, writer)

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(handshake(alice) + pieces[0])
            await connected.wait()
            writer.write(pieces[1])
            await writer.drain()
            asked.set()
            await reader.readuntil(b"\r\n\r\n")
            writer.write(pieces[2])
            assert await received(reader) == (TEXT, b"one+two")

    async def test_too_much_too_early_waits_in_its_own_memory(
        self, alice: Browser, directory: Path
    ) -> None:
        gone = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.read() == b""
            gone.set()

        async with application(directory, serve), connection(directory) as (_, writer):
            writer.write(handshake(alice) + sent(TEXT, b"x" * 8_000_000))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.5)

    async def test_a_browser_that_leaves_meanwhile_is_noticed(
        self, alice: Browser, directory: Path
    ) -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            assert await reader.read() == b""
            left.set()

        async with application(directory, serve):
            async with connection(directory) as (_, writer):
                writer.write(handshake(alice))
                await asked.wait()
            await asyncio.wait_for(left.wait(), 5)

    async def test_signing_out_meanwhile_ends_it(self, alice: Browser, directory: Path) -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            assert await reader.read() == b""
            left.set()

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(handshake(alice))
            await asked.wait()
            await alice.get(PREFIX + "logout")
            answer = await asyncio.wait_for(reader.read(), 5)
            assert answer.startswith(b"HTTP/1.1 502 ")
            await asyncio.wait_for(left.wait(), 5)

    async def test_a_stop_meanwhile_ends_it(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        asked = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read()

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(handshake(alice))
            await asked.wait()
            assert await running.stop() < 0.5
            assert (await reader.read()).startswith(b"HTTP/1.1 502 ")
