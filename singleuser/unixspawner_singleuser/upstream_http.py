"""One HTTP/1.1 connection to an application: a request out, one answer back, piece by piece.

Run as the person signed in. Every byte that arrives is an application's and may be wrong: the
parser is strict, what comes after an answer ends the connection, and trailers and interim answers
go no further. A reader that is slow stops the reading from the application's socket.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httptools

from .errors import UpstreamUnavailableError

if TYPE_CHECKING:
    from .headers import Headers

READ_BUFFER = 256 * 1024
MAX_HEAD = 64 * 1024
_CONTINUE = 100


@dataclass(frozen=True, slots=True)
class AnswerHead:
    status: int
    headers: Headers


class UpstreamConnection(asyncio.Protocol):
    """Use in this order: `begin`, `write` and `drain`, `head`, `read` until `finished`, `end`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None  # None between two answers
        self._waiter: asyncio.Future[None] | None = None
        self._leave: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._lost = False
        self.idle_since = 0.0

    # What the forwarding asks for.

    def begin(self, *, bodyless: bool) -> None:
        """Prepares for the next answer; `bodyless` when it answers HEAD."""
        self._bodyless = bodyless
        self._headers: Headers = []
        self._head_size = 0
        self._status = 0
        self._interim = False
        self._until_close = False
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._reading_paused = False
        self._error = ""
        self._keep_alive = False
        self._head_complete = False
        self.continued = False  # the application has sent 100 Continue
        self.finished = False  # the whole answer has arrived; some of it may still be unread
        self.touched = False  # at least one byte of the answer has arrived
        self._parser = httptools.HttpResponseParser(self)

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Waits while the application does not read."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    async def head(self) -> AnswerHead:
        """Raises UpstreamUnavailableError."""
        while not self._head_complete:
            await self._news()
        return AnswerHead(self._status, self._headers)

    async def leave_to_send(self, seconds: float) -> None:
        """Waits for 100 Continue, for a final answer, or for so long."""
        if not (self.continued or self._head_complete or self._error):
            # Not `_news`: somebody else waits for the answer at the same time.
            self._leave = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._leave], timeout=seconds)

    async def read(self) -> bytes:
        """What has arrived of the body, b"" at its end. Raises UpstreamUnavailableError."""
        while not self._chunks and not self.finished:
            await self._news()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks, self._buffered = [], 0
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    def end(self, *, sent_all: bool) -> bool:
        """True when the connection can serve another request, otherwise it is closed."""
        self._parser = None
        reusable = self.finished and self._keep_alive and sent_all and not self._lost
        if reusable:
            self.idle_since = time.monotonic()
        else:
            self.close()
        return reusable

    def close(self) -> None:
        if self._transport is not None and not self._lost:
            self._transport.abort()

    @property
    def is_open(self) -> bool:
        return not self._lost

    async def _news(self) -> None:
        if self._error:
            raise UpstreamUnavailableError(self._error)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        said = self.continued or self._head_complete or self._error
        if self._leave is not None and said and not self._leave.done():
            self._leave.set_result(None)

    def _fail(self, reason: str) -> None:
        """Whatever was wrong, nothing more is believed."""
        if not self.finished:
            self._error = self._error or reason
        self._keep_alive = False
        self.close()
        self._wake()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._parser is None:
            return
        if self._until_close and exc is None and not self._error:
            self.finished = True
        self._fail("the connection was closed")

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.close()  # nobody has asked for anything
            return
        self.touched = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("it changed the protocol unasked")
        except httptools.HttpParserError:
            self._fail("its answer is not HTTP")
        else:
            self._wake()

    # What the parser tells. An exception here reaches data_received as HttpParserError.

    def on_message_begin(self) -> None:
        if self.finished:
            self._keep_alive = False
            raise ValueError("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_complete:
            return  # a trailer
        self._head_size += len(name) + len(value) + 4
        if self._head_size > MAX_HEAD:
            raise ValueError("the head is too long")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._parser is None:
            raise ValueError("not asked")
        self._status = self._parser.get_status_code()
        self._interim = 100 <= self._status < 200
        if self._interim:
            return
        self._until_close = self._frames_nothing()
        self._keep_alive = self._parser.should_keep_alive()
        self._head_complete = True
        if self._bodyless:
            self.finished = True

    def on_body(self, body: bytes) -> None:
        if self._bodyless:
            self._keep_alive = False
            return
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > READ_BUFFER and not self._reading_paused and self._transport:
            self._reading_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._interim:
            self.continued = self.continued or self._status == _CONTINUE
            self._headers = []
        else:
            self.finished = True

    def _frames_nothing(self) -> bool:
        """True when only the end of the connection ends the body. Raises ValueError."""
        codings = [value for name, value in self._headers if name == b"transfer-encoding"]
        if codings and [coding.strip().lower() for coding in codings] != [b"chunked"]:
            raise ValueError("a transfer coding that nobody asked for")
        return not codings and all(name != b"content-length" for name, _ in self._headers)


def request_head(method: str, target: bytes, headers: Headers) -> bytes:
    """The bytes of a request's first part. Names and values have passed a strict parser."""
    lines = [method.encode("ascii") + b" " + target + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"
