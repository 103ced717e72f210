"""One HTTP/1.1 connection to an application: a request out, one answer back, piece by piece.

Run as the person signed in. A reader that is slow stops the reading from the application's socket.
What an application says before it hangs up is heard to its end, also when it did not read all of
what it was being sent.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from .answers import AnswerHead, AnswerReader
from .connections import Wire, left_behind
from .errors import UpstreamUnavailableError

if TYPE_CHECKING:
    from .headers import Headers

READ_BUFFER = 256 * 1024
_TIMEOUT = 408  # what some servers say on an idle connection before they close it


class StaleConnectionError(UpstreamUnavailableError):
    """A kept connection was just being closed; the request has to be sent again, on another one."""


class UpstreamConnection(asyncio.Protocol):
    """Use in this order: `begin`, `write` and `drain`, `head`, `read` until `finished`, `end`."""

    _transport: asyncio.Transport
    _answer: AnswerReader
    _kept = False

    def __init__(self) -> None:
        self._asked = False  # an answer is expected
        self._waiter: asyncio.Future[None] | None = None
        self._leave: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._lost = True
        self.idle_since = 0.0

    # What the forwarding asks for.

    def begin(self, *, bodyless: bool = False, upgrade: bool = False) -> None:
        """Prepares for the next answer: to HEAD, or to the handshake of a WebSocket, perhaps."""
        self._kept = self.idle_since > 0
        self._answer = AnswerReader(bodyless=bodyless, upgrade=upgrade)
        self._asked = True

    def write(self, data: bytes) -> None:
        if not self._lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Waits while the application does not read."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    async def head(self) -> AnswerHead:
        """Raises UpstreamUnavailableError, or StaleConnectionError on a connection used before."""
        answer = self._answer
        while answer.head is None:
            if answer.error and self._kept and not answer.touched:
                raise StaleConnectionError
            await self._news()
        if self._kept and answer.head.status == _TIMEOUT:
            raise StaleConnectionError
        return answer.head

    async def leave_to_send(self, seconds: float) -> None:
        """Waits for 100 Continue, for a final answer, or for so long."""
        if not self._has_spoken():
            # Not `_news`: somebody else waits for the answer at the same time.
            self._leave = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._leave], timeout=seconds)

    async def read(self) -> bytes:
        """What has arrived of the body, b"" at its end. Raises UpstreamUnavailableError."""
        answer = self._answer
        while not answer.chunks and not answer.finished:
            await self._news()
        data = answer.take()
        if self._reading_paused and not self._lost:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    @property
    def finished(self) -> bool:
        """The whole answer has arrived, and `read` has nothing more to wait for."""
        return self._answer.finished

    @property
    def is_open(self) -> bool:
        return not self._lost

    def end(self, *, sent_all: bool) -> bool:
        """True when the connection can serve another request, otherwise it is closed."""
        self._asked = False
        answer = self._answer
        answer.release()
        reusable = answer.finished and answer.keep_alive and sent_all and not self._lost
        if reusable:
            self.idle_since = time.monotonic()
        else:
            self.close()
        return reusable

    def release(self) -> Wire:
        """Lets go of a connection that has changed to another protocol."""
        self._asked = False
        self._lost = True
        self._answer.release()
        return Wire(self._transport, self._answer.beyond)

    def close(self) -> None:
        if not self._lost:
            self._transport.abort()

    async def _news(self) -> None:
        if self._answer.error:
            raise UpstreamUnavailableError(self._answer.error)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _has_spoken(self) -> bool:
        answer = self._answer
        return answer.continued or answer.head is not None or bool(answer.error)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._leave is not None and not self._leave.done() and self._has_spoken():
            self._leave.set_result(None)

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked:
            if exc is not None and not self._answer.finished:
                self._answer.feed(left_behind(self._transport))
            self._answer.end(cleanly=exc is None)
        self._lost = True
        self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        if not self._asked:
            self.close()  # nobody has asked for anything
            return
        answer = self._answer
        answer.feed(data)
        if answer.error:
            self.close()
        elif answer.buffered > READ_BUFFER or answer.changed:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()


def request_head(method: str, target: bytes, headers: Headers) -> bytes:
    """The bytes of a request's first part. Names and values have passed a strict parser."""
    lines = [method.encode("ascii") + b" " + target + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"
