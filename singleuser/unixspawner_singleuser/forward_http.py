"""Forwards one HTTP request to an application, streaming in both directions.

Run as the person signed in. Nothing is collected in memory: a body moves in pieces, and a slow
reader slows the sender down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from .activity import Activity
from .answers import AnswerHead
from .browser import Browser, RequestBody
from .exchanges import Exchange, Exchanges
from .headers import Headers, first
from .relay import relay
from .request import Incoming
from .rewriting import Place
from .upstream_http import StaleConnectionError, UpstreamConnection, request_head
from .upstreams import Errand, Upstreams

# How long an application may think about `Expect: 100-continue` before the body comes anyway.
EXPECT_TIMEOUT = 1.0


class HttpForwarder:
    def __init__(
        self, upstreams: Upstreams, exchanges: Exchanges, activity: Activity, place: Place
    ) -> None:
        self._upstreams = upstreams
        self._exchanges = exchanges
        # An answer or an upload may take hours: each piece is use, as its request was.
        self._on_data = activity.note
        self._place = place

    async def forward(self, errand: Errand, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises UpstreamUnavailableError as long as nothing has been answered."""
        async with Browser(scope, receive, send, empty=not _has_body(errand.request)) as browser:
            with self._exchanges.track(errand.session, browser.interrupt) as exchange:
                await self._transfer(errand, browser, exchange)

    async def _transfer(self, errand: Errand, browser: Browser, exchange: Exchange) -> None:
        upstream = errand.application.upstream
        # A kept connection may be one that the application is just closing. Only what merely reads
        # can be sent twice.
        repeatable = browser.body.complete and errand.request.reads
        kept = self._upstreams.take_idle(upstream) if repeatable else None
        if kept is not None:
            try:
                return await self._converse(kept, errand, browser, exchange)
            except StaleConnectionError:
                pass
        fresh = await self._upstreams.connect(upstream)
        return await self._converse(fresh, errand, browser, exchange)

    async def _converse(
        self, connection: UpstreamConnection, errand: Errand, browser: Browser, exchange: Exchange
    ) -> None:
        request, body = errand.request, browser.body
        connection.begin(bodyless=request.method == "HEAD")
        connection.write(
            request_head(request.method, errand.target, errand.headers + _framing(request))
        )
        upload = None if body.complete else self._upload(connection, request, browser)
        try:
            head = await connection.head()
            if _never_ends(head):
                browser.answer.may_end_anywhere = True
                self._exchanges.mark_endless(exchange)
            await relay(connection, head, browser.answer, errand, self._place, self._on_data)
        finally:
            if upload is not None:
                upload.cancel()
            if connection.end(sent_all=body.complete):
                self._upstreams.keep(errand.application.upstream, connection)

    def _upload(
        self, connection: UpstreamConnection, request: Incoming, browser: Browser
    ) -> asyncio.Task[None]:
        """Sends the body beside the reading of the answer, which may come before its end."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                browser.interrupt()

        task = asyncio.create_task(_send_body(connection, request, browser.body, self._on_data))
        task.add_done_callback(ended)
        return task


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


async def _send_body(
    connection: UpstreamConnection,
    request: Incoming,
    body: RequestBody,
    on_data: Callable[[], None],
) -> None:
    chunked = b"transfer-encoding" in request.fields
    if _waits_for_leave(request):
        await connection.leave_to_send(EXPECT_TIMEOUT)
    async for chunk in body.chunks():
        on_data()
        connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        await connection.drain()
    if chunked:
        connection.write(b"0\r\n\r\n")


def _never_ends(head: AnswerHead) -> bool:
    return first(head.headers, b"content-type").lower().startswith(b"text/event-stream")
