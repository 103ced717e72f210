"""Bodies of any size, in constant memory, at the speed of whoever is slower."""

from __future__ import annotations

import asyncio
from pathlib import Path

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


class TestBackpressure:
    async def test_a_slow_client_slows_the_application(
        self, alice: Browser, directory: Path
    ) -> None:
        sent = [0]

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent[0] += 65536

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(head(alice))
            await reader.readexactly(1000)
            await settled(sent)
            assert sent[0] < 8 * 1024 * 1024

    async def test_a_slow_application_slows_the_client(
        self, alice: Browser, directory: Path
    ) -> None:
        sent = [0]

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(60)

        async def push(writer: Writer) -> None:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent[0] += 65536

        async with application(directory, serve), connection(directory) as (_, writer):
            writer.write(head(alice, "PUT", "x", f"Content-Length: {BIG}"))
            pushing = asyncio.create_task(push(writer))
            await settled(sent)
            pushing.cancel()
            assert 0 < sent[0] < 8 * 1024 * 1024
