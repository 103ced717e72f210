"""Bytes on a socket: an application that says exactly what a test wants, and a client likewise.

Used by the tests of this folder only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from tests.unit.singleuser.fakes import HOST, PREFIX, Browser

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Handler = Callable[[Reader, Writer], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def application(directory: Path, handler: Handler) -> AsyncIterator[None]:
    """Takes the place of the application's socket."""
    (directory / "app.sock").unlink(missing_ok=True)
    writers: list[Writer] = []

    async def handle(reader: Reader, writer: Writer) -> None:
        writers.append(writer)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()

    async with await asyncio.start_unix_server(handle, directory / "app.sock"):
        try:
            yield
        finally:
            for writer in writers:
                if not writer.transport.is_closing():
                    writer.transport.abort()


def answering(answer: bytes, *, close: bool = False) -> Handler:
    """Gives the same answer to every request without a body, over and over."""

    async def handle(reader: Reader, writer: Writer) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if close:
                writer.close()
                return

    return handle


@asynccontextmanager
async def connection(directory: Path) -> AsyncIterator[tuple[Reader, Writer]]:
    reader, writer = await asyncio.open_unix_connection(directory / "server.sock")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def head(browser: Browser, method: str = "GET", path: str = "x", *lines: str) -> bytes:
    """A signed-in request's first part."""
    request = [
        f"{method} {PREFIX}{path} HTTP/1.1",
        f"Host: {HOST}",
        f"Cookie: {browser.headers({})['Cookie']}",
        f"X-XSRFToken: {browser.cookies['_xsrf']}",
        *lines,
    ]
    return "\r\n".join(request).encode() + b"\r\n\r\n"


async def answer_to(directory: Path, request: bytes) -> bytes:
    """Everything that comes back until the server ends the connection."""
    async with connection(directory) as (reader, writer):
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 5)


async def eventually(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError when it does not come true within a few seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def settled(counter: list[int]) -> None:
    """Waits until a counter that runs has come to rest."""
    before = -1
    while counter[0] != before:
        before = counter[0]
        await asyncio.sleep(0.3)
