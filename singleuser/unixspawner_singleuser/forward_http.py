"""Forwards one HTTP request to an application, streaming in both directions.

Run as the person signed in. Nothing is collected in memory: a body moves in pieces, and a slow
reader slows the sender down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.types import Receive, Send

from .errors import UpstreamUnavailableError
from .exchanges import CloseReason, Exchanges
from .headers import Headers, decoded, first, response_headers
from .request import Incoming
from .upstreams import Errand, Upstreams

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)


class ClientGoneError(Exception):
    """The browser left before its request was complete."""


class RequestBody:
    """Reads the ASGI request, and notices when the browser goes away."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._finished = asyncio.Event()
        self.gone = False

    async def chunks(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            self.gone = message["type"] == "http.disconnect"
            more = not self.gone and message.get("more_body", False)
            if not more:
                self._finished.set()
            if self.gone:
                raise ClientGoneError
            if message.get("body"):
                yield message["body"]

    async def skip(self) -> None:
        async for _ in self.chunks():
            pass

    async def wait_until_gone(self) -> None:
        """Only one reader at a time: this one takes over when the body has been read."""
        await self._finished.wait()
        while not self.gone:
            self.gone = (await self._receive())["type"] == "http.disconnect"


class Answer:
    """The way back to the browser, and how far it has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.complete = False
        self.measured = False  # a Content-Length promises more than we may have sent

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        self.measured = bool(first(headers, b"content-length"))
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


class HttpForwarder:
    def __init__(self, upstreams: Upstreams, exchanges: Exchanges, session_cookie: str) -> None:
        self._upstreams = upstreams
        self._exchanges = exchanges
        self._session_cookie = session_cookie

    async def forward(self, errand: Errand, receive: Receive, send: Send) -> None:
        """Raises UpstreamUnavailableError as long as nothing has been answered."""
        body, answer = RequestBody(receive), Answer(send)
        interrupt = Interruption(answer)
        departure = asyncio.create_task(body.wait_until_gone())
        departure.add_done_callback(lambda done: None if done.cancelled() else interrupt())
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
            departure.cancel()

    async def _transfer(
        self, errand: Errand, body: RequestBody, answer: Answer, interrupt: Interruption
    ) -> None:
        with self._exchanges.track(errand.session, interrupt) as exchange:
            async with self._ask(errand, body) as response:
                if _never_ends(response):
                    self._exchanges.mark_endless(exchange)
                await self._relay(response, answer)

    @asynccontextmanager
    async def _ask(
        self, errand: Errand, body: RequestBody
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        has_body = _has_body(errand.request)
        fresh = has_body or not errand.request.reads
        client = self._upstreams.session(errand.application.upstream, fresh=fresh)
        if not has_body:
            await body.skip()
        try:
            response = await client.request(
                errand.request.method,
                errand.url,
                headers=[(decoded(name), decoded(value)) for name, value in errand.headers],
                data=body.chunks() if has_body else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The class alone: an error's text may hold the URL or a header.
            raise UpstreamUnavailableError(type(error).__name__) from None
        try:
            yield response
        finally:
            # Drops the connection unless the answer was read to its end.
            response.close()

    async def _relay(self, response: aiohttp.ClientResponse, answer: Answer) -> None:
        import aiohttp

        headers = response_headers(response.raw_headers, session_cookie=self._session_cookie)
        await answer.start(response.status, headers)
        content = response.content
        try:
            while not content.at_eof():
                data = await content.readany()
                if data:
                    await answer.write(data, last=content.at_eof())
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnavailableError(type(error).__name__) from None
        if not answer.complete:
            await answer.write(b"", last=True)


def _has_body(request: Incoming) -> bool:
    return (
        request.header(b"content-length") not in {"", "0"} or b"transfer-encoding" in request.fields
    )


def _never_ends(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Content-Type", "").startswith("text/event-stream")


async def _end_interrupted(body: RequestBody, answer: Answer) -> None:
    """Ends what can be ended cleanly; a measured answer stays visibly incomplete."""
    if body.gone:
        return
    if not answer.started:
        raise UpstreamUnavailableError("interrupted")
    if not answer.measured:
        await answer.write(b"", last=True)
