"""Bodies of any size, in constant memory, at the speed of whoever is slower."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import Browser
from tests.unit.singleuser.raw import (
    Reader,
    Writer,
    application,
    connection,
    head,
    settled,
)

BIG = 64 * 1024 * 1024
PIECE = b"x" * 65536
CHUNKED = "Transfer-Encoding: chunked"
# The header that says where a body ends, what comes first in the body, and what then, on and on.
FRAMINGS = [
    pytest.param(f"Content-Length: {BIG}", b"", PIECE, id="sized"),
    pytest.param(CHUNKED, b"%x\r\n" % BIG, PIECE, id="one chunk"),
    pytest.param(CHUNKED, b"", b"%x\r\n%b\r\n" % (len(PIECE), PIECE), id="many chunks"),
]


@pytest.mark.parametrize(("framing", "first", "piece"), FRAMINGS)
class TestBackpressure:
    async def test_a_slow_client_slows_the_application(
        self, alice: Browser, directory: Path, framing: str, first: bytes, piece: bytes
    ) -> None:
        sent = [0]

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + first)
            while True:
                writer.write(piece)
                await writer.drain()
                sent[0] += len(piece)

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(head(alice))
            await reader.readexactly(1000)
            await settled(sent)
            assert 0 < sent[0] < 8 * 1024 * 1024

    async def test_a_slow_application_slows_the_client(
        self, alice: Browser, directory: Path, framing: str, first: bytes, piece: bytes
    ) -> None:
        sent = [0]

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(60)

        async def push(writer: Writer) -> None:
            while True:
                writer.write(piece)
                await writer.drain()
                sent[0] += len(piece)

        async with application(directory, serve), connection(directory) as (_, writer):
            writer.write(head(alice, "PUT", "x", framing) + first)
            pushing = asyncio.create_task(push(writer))
            await settled(sent)
            pushing.cancel()
            assert 0 < sent[0] < 8 * 1024 * 1024
