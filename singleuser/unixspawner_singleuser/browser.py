"""The browser's side of one forwarding: its request, the way back to it, and its departure.

Run as the person signed in. HTTP and the handshake of a WebSocket differ in the names of ASGI's
messages only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from starlette.types import Receive, Scope, Send

from .errors import UpstreamUnavailableError
from .exchanges import CloseReason
from .headers import Headers

log = logging.getLogger(__name__)

# Where our own HTTP server says, in the ASGI scope, whether the browser's connection still stands.
LEFT_KEY = "unixspawner.left"
# Most answers are complete before it matters that nobody waits for them any more.
WATCH_AFTER = 0.05
# One that uploads faster than the application reads is not heard to leave: it is looked after.
LOOK_EVERY = 5.0


class ClientGoneError(Exception):
    """The browser left before its request was complete."""


class RequestBody:
    """Reads the ASGI request, and notices when the browser goes away."""

    def __init__(self, receive: Receive, *, empty: bool) -> None:
        self._receive = receive
        self._read = None if empty else asyncio.Event()
        self.complete = empty
        self.gone = False

    async def chunks(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            self.gone = message["type"] == "http.disconnect"
            more = not self.gone and message.get("more_body", False)
            if not more and self._read is not None:
                self._read.set()
            if self.gone:
                raise ClientGoneError
            if message.get("body"):
                yield message["body"]
        self.complete = True

    async def wait_until_gone(self) -> None:
        """Only one reader at a time: this one takes over when the body has been read."""
        if self._read is not None:
            await self._read.wait()
        while not self.gone:
            self.gone = (await self._receive())["type"].endswith(".disconnect")


class Answer:
    """The way back to the browser, and how far it has come."""

    def __init__(self, send: Send, prefix: str) -> None:
        self._send = send
        self._start, self._body = prefix + "http.response.start", prefix + "http.response.body"
        self.started = False
        self.complete = False
        self.may_end_anywhere = False  # a stream of events, which has no last one

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        await self._send({"type": self._start, "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool) -> None:
        self.complete = last
        await self._send({"type": self._body, "body": data, "more_body": not last})


class Interruption:
    """Ends a forwarding from outside, and tells that apart from any other cancellation."""

    def __init__(self, answer: Answer) -> None:
        self._task = asyncio.current_task()
        self._answer = answer
        self._happened = False

    def __call__(self, reason: CloseReason | None = None) -> None:
        if self._task is not None and not self._happened and not self._answer.complete:
            self._happened = True
            self._task.cancel()

    def explains_cancellation(self) -> bool:
        return self._happened and self._task is not None and self._task.uncancel() == 0


class Departure:
    """Interrupts when the browser leaves; begins to look only when an answer takes its time."""

    def __init__(
        self, body: RequestBody, left: Callable[[], bool], interrupt: Interruption
    ) -> None:
        self._body = body
        self._left = left
        self._interrupt = interrupt
        self._watch: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self._begin)

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._body.wait_until_gone())
        self._watch.add_done_callback(self._has_left)
        self._look_later()

    def _has_left(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled():
            self._interrupt()

    def _look_later(self) -> None:
        if not self._body.complete:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        if self._left():
            self._body.gone = True
            self._interrupt()
        else:
            self._look_later()

    def ignore(self) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()


class Browser:
    """To be entered around a forwarding. Deals with everything that ends one early.

    Raises UpstreamUnavailableError out of its block as long as nothing has been answered and
    somebody is there to be answered.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, empty: bool) -> None:
        prefix = "" if scope["type"] == "http" else "websocket."
        self.body = RequestBody(receive, empty=empty)
        self.answer = Answer(send, prefix)
        self.interrupt = Interruption(self.answer)
        self._departure = Departure(self.body, scope["extensions"][LEFT_KEY], self.interrupt)

    def leave_alone(self) -> None:
        """The answer is that the connection changes hands; somebody else looks after it now."""
        self._departure.ignore()
        self.answer.started = True

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._departure.ignore()
        if error is None:
            return False
        if isinstance(error, ClientGoneError):
            return True
        if isinstance(error, asyncio.CancelledError):
            return await self._was_interrupted()
        if isinstance(error, UpstreamUnavailableError) and (self.answer.started or self.body.gone):
            log.info("An answer broke off: %s.", error)
            return True
        return False

    async def _was_interrupted(self) -> bool:
        """Ends a stream of events cleanly; anything else stays visibly incomplete."""
        if not self.interrupt.explains_cancellation():
            return False
        if self.body.gone:
            return True
        if not self.answer.started:
            raise UpstreamUnavailableError("interrupted")
        if self.answer.may_end_anywhere:
            await self.answer.write(b"", last=True)
        return True
