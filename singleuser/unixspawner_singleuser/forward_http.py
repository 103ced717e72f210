"""Forwards one HTTP request to an application, streaming in both directions.

Run as the person signed in. Nothing is collected in memory: a body moves in pieces, and a slow
reader slows the sender down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from starlette.types import Receive, Send

from .errors import UpstreamUnavailableError
from .exchanges import CloseReason, Exchange, Exchanges
from .headers import Headers, first, response_headers
from .request import Incoming
from .rewriting import Place, own_hosts
from .upstream_http import AnswerHead, UpstreamConnection, request_head
from .upstreams import Errand, Upstreams

log = logging.getLogger(__name__)

# Most answers are complete before it matters that nobody waits for them any more.
WATCH_AFTER = 0.05
# How long an application may think about `Expect: 100-continue` before the body comes anyway.
EXPECT_TIMEOUT = 1.0
_WITHOUT_BODY = frozenset({204, 304})


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
            self.gone = (await self._receive())["type"] == "http.disconnect"


class Answer:
    """The way back to the browser, and how far it has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.complete = False
        self.may_end_anywhere = False  # a stream of events, which has no last one

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool) -> None:
        self.complete = last
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})


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

    def __init__(self, body: RequestBody, interrupt: Interruption) -> None:
        self._body = body
        self._interrupt = interrupt
        self._watch: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self._begin)

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._body.wait_until_gone())
        self._watch.add_done_callback(self._left)

    def _left(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled():
            self._interrupt()

    def ignore(self) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()


class HttpForwarder:
    def __init__(self, upstreams: Upstreams, exchanges: Exchanges, place: Place) -> None:
        self._upstreams = upstreams
        self._exchanges = exchanges
        self._place = place

    async def forward(self, errand: Errand, receive: Receive, send: Send) -> None:
        """Raises UpstreamUnavailableError as long as nothing has been answered."""
        body = RequestBody(receive, empty=not _has_body(errand.request))
        answer = Answer(send)
        interrupt = Interruption(answer)
        departure = Departure(body, interrupt)
        try:
            await self._transfer(errand, body, answer, interrupt)
        except ClientGoneError:
            pass
        except asyncio.CancelledError:
            if not interrupt.explains_cancellation():
                raise
            await _end_interrupted(body, answer)
        except UpstreamUnavailableError as error:
            if not answer.started and not body.gone:
                raise
            log.info("An answer of %s broke off: %s.", errand.application.name, error)
        finally:
            departure.ignore()

    async def _transfer(
        self, errand: Errand, body: RequestBody, answer: Answer, interrupt: Interruption
    ) -> None:
        upstream = errand.application.upstream
        with self._exchanges.track(errand.session, interrupt) as exchange:
            # A kept connection may be one that the application is just closing. Only what merely
            # reads can be sent twice.
            repeatable = body.complete and errand.request.reads
            kept = self._upstreams.take_idle(upstream) if repeatable else None
            if kept is not None:
                try:
                    return await self._converse(kept, errand, body, answer, exchange, interrupt)
                except UpstreamUnavailableError:
                    if kept.touched:
                        raise
            fresh = await self._upstreams.connect(upstream)
            return await self._converse(fresh, errand, body, answer, exchange, interrupt)

    async def _converse(
        self,
        connection: UpstreamConnection,
        errand: Errand,
        body: RequestBody,
        answer: Answer,
        exchange: Exchange,
        interrupt: Interruption,
    ) -> None:
        request = errand.request
        connection.begin(bodyless=request.method == "HEAD")
        connection.write(
            request_head(request.method, errand.target, errand.headers + _framing(request))
        )
        upload = None if body.complete else _upload(connection, request, body, interrupt)
        try:
            head = await connection.head()
            if _never_ends(head):
                answer.may_end_anywhere = True
                self._exchanges.mark_endless(exchange)
            await self._relay(connection, head, answer, errand)
        finally:
            if upload is not None:
                upload.cancel()
            if connection.end(sent_all=body.complete):
                self._upstreams.keep(errand.application.upstream, connection)

    async def _relay(
        self, connection: UpstreamConnection, head: AnswerHead, answer: Answer, errand: Errand
    ) -> None:
        if not 200 <= head.status <= 599:
            raise UpstreamUnavailableError("its status is none")
        leads = first(head.headers, b"location")
        hosts = own_hosts(errand.request, errand.application.upstream) if leads else frozenset()
        headers = response_headers(head.headers, self._place, hosts)
        if head.status in _WITHOUT_BODY:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        await answer.start(head.status, headers)
        while not answer.complete:
            data = await connection.read()
            await answer.write(data, last=connection.finished)


def _has_body(request: Incoming) -> bool:
    return (
        request.header(b"content-length") not in {"", "0"} or b"transfer-encoding" in request.fields
    )


def _framing(request: Incoming) -> Headers:
    """What says where the body ends on this hop, and whether it is to come at all."""
    framing: Headers = []
    if b"transfer-encoding" in request.fields:
        framing.append((b"transfer-encoding", b"chunked"))
    elif not request.reads and b"content-length" not in request.fields:
        framing.append((b"content-length", b"0"))
    if _waits_for_leave(request):
        framing.append((b"expect", b"100-continue"))
    return framing


def _waits_for_leave(request: Incoming) -> bool:
    return b"expect" in request.fields and _has_body(request)


def _upload(
    connection: UpstreamConnection, request: Incoming, body: RequestBody, interrupt: Interruption
) -> asyncio.Task[None]:
    """Sends the body beside the reading of the answer, which may come before its end."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            interrupt()

    task = asyncio.create_task(_send_body(connection, request, body))
    task.add_done_callback(ended)
    return task


async def _send_body(connection: UpstreamConnection, request: Incoming, body: RequestBody) -> None:
    chunked = b"transfer-encoding" in request.fields
    if _waits_for_leave(request):
        await connection.leave_to_send(EXPECT_TIMEOUT)
    async for chunk in body.chunks():
        connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        await connection.drain()
    if chunked:
        connection.write(b"0\r\n\r\n")


def _never_ends(head: AnswerHead) -> bool:
    return first(head.headers, b"content-type").lower().startswith(b"text/event-stream")


async def _end_interrupted(body: RequestBody, answer: Answer) -> None:
    """Ends a stream of events cleanly; anything else stays visibly incomplete."""
    if body.gone:
        return
    if not answer.started:
        raise UpstreamUnavailableError("interrupted")
    if answer.may_end_anywhere:
        await answer.write(b"", last=True)
