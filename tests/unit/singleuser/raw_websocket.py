"""WebSockets as bytes: a client and an application that send exactly the frames that a test wants.

Used by the tests of this folder only.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.unit.singleuser.fakes import Browser
from tests.unit.singleuser.raw import Handler, Reader, Writer, application, connection, head

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
MASK = b"\x11\x22\x33\x44"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Talk = Callable[[Reader, Writer], Awaitable[None]]


def frame(first: int, payload: bytes = b"", *, masked: bool = False) -> bytes:
    """`first` is the whole first byte: the last-of-a-message bit, reserved bits and opcode."""
    mask = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        header = bytes((first, mask | size))
    elif size < 65536:
        header = bytes((first, mask | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((first, mask | 127)) + size.to_bytes(8, "big")
    if not masked:
        return header + payload
    return header + MASK + unmasked(payload, MASK)


def sent(first: int, payload: bytes = b"") -> bytes:
    """A frame as a browser sends it."""
    return frame(first, payload, masked=True)


def close(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


def unmasked(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


async def received(reader: Reader) -> tuple[int, bytes]:
    """The next frame: its first byte, and its payload without the mask."""
    first, second = await asyncio.wait_for(reader.readexactly(2), 5)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else b""
    payload = await reader.readexactly(size)
    return first, unmasked(payload, mask) if mask else payload


def handshake(browser: Browser, *lines: str, key: str = KEY, path: str = "ws") -> bytes:
    return head(
        browser,
        "GET",
        path,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *lines,
    )


def accepting(*lines: str, key: str = KEY) -> bytes:
    """An application's answer to a handshake."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
    head = [
        "HTTP/1.1 101 Switching Protocols",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Accept: {accept}",
        *lines,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n"


def accepted(talk: Talk, *lines: str) -> Handler:
    """An application that accepts, and then does as told."""

    async def handle(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(accepting(*lines))
        await talk(reader, writer)

    return handle


@asynccontextmanager
async def opened(
    browser: Browser, directory: Path, talk: Talk, *lines: str
) -> AsyncIterator[tuple[Reader, Writer]]:
    """A client's end of an open WebSocket, with `talk` at the application's."""
    async with (
        application(directory, accepted(talk)),
        connection(directory) as (reader, writer),
    ):
        writer.write(handshake(browser, *lines))
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert answer.startswith(b"HTTP/1.1 101 ")
        yield reader, writer


class Talker:
    """Keeps its end of the connection until the test is over."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        self.reader, self.writer = reader, writer
        self.ready.set()
        await asyncio.get_running_loop().create_future()


def hang_up(writer: Writer) -> None:
    """As a program that dies: at once, unread bytes or not."""
    writer.transport.abort()
