"""Forwards one WebSocket to an application: messages, subprotocol and close codes.

Run as the person signed in. The application is asked first; only when it agrees is the browser
told so. Ping and pong belong to each hop and are answered there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.types import Message, Receive, Scope, Send

from .activity import Activity
from .errors import UpstreamUnavailableError
from .exchanges import CloseReason, Exchanges
from .headers import decoded
from .upstreams import Errand, Upstreams, websocket_url

if TYPE_CHECKING:
    import aiohttp

    UpstreamSocket = aiohttp.ClientWebSocketResponse[bool]

log = logging.getLogger(__name__)

MAX_MESSAGE = 64 * 1024 * 1024
HANDSHAKE_TIMEOUT = 30.0
UPSTREAM_LOST = 1014  # "bad gateway"
NORMAL = 1000
GOING_AWAY = 1001
# Codes that report the absence of a code; no peer may send them.
_UNSENDABLE = {1005: NORMAL, 1006: GOING_AWAY}


class WebSocketForwarder:
    def __init__(self, upstreams: Upstreams, exchanges: Exchanges, activity: Activity) -> None:
        self._upstreams = upstreams
        self._exchanges = exchanges
        self._activity = activity

    async def forward(self, errand: Errand, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises UpstreamUnavailableError when the application does not take the connection."""
        ended: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

        def close(reason: CloseReason) -> None:
            if not ended.done():
                ended.set_result(reason)

        # Known from before the connection is made, so that a session's end cannot miss it.
        with self._exchanges.track(errand.session, close) as exchange:
            self._exchanges.mark_endless(exchange)
            upstream = await self._connect(errand, scope)
            try:
                await send({"type": "websocket.accept", "subprotocol": upstream.protocol})
                await self._converse(upstream, receive, send, ended)
            finally:
                ended.cancel()
                await upstream.close(code=GOING_AWAY)

    async def _connect(self, errand: Errand, scope: Scope) -> UpstreamSocket:
        import aiohttp

        upstream = errand.application.upstream
        client = self._upstreams.websocket_client(upstream)
        headers = [
            (decoded(name), decoded(value))
            for name, value in errand.headers
            if not name.startswith(b"sec-websocket-")
        ]
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                return await client.ws_connect(
                    websocket_url(upstream, errand.target),
                    headers=headers,
                    protocols=scope.get("subprotocols", ()),
                    max_msg_size=MAX_MESSAGE,
                    autoclose=False,
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamUnavailableError(type(error).__name__) from None

    async def _converse(
        self,
        upstream: UpstreamSocket,
        receive: Receive,
        send: Send,
        ended: asyncio.Future[CloseReason],
    ) -> None:
        """Carries messages both ways until either side, or the gate, ends the conversation."""
        outward = asyncio.create_task(_to_browser(upstream, send))
        inward = asyncio.create_task(_to_upstream(upstream, receive, self._activity.note))
        ends: set[asyncio.Future[Any]] = {outward, inward, ended}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await send({"type": "websocket.close", "code": int(ended.result())})
        finally:
            for task in (outward, inward):
                task.cancel()
            results = await asyncio.gather(outward, inward, return_exceptions=True)
        for result in results:
            # A side that is gone is no news; anything else is.
            if isinstance(result, Exception) and not isinstance(result, OSError):
                log.error("A WebSocket broke off.", exc_info=result)


async def _to_upstream(
    upstream: UpstreamSocket,
    receive: Receive,
    on_message: Callable[[], None],
) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code") or 1005
            reason = (message.get("reason") or "").encode()
            await upstream.close(code=_UNSENDABLE.get(code, code), message=reason)
            return
        if message["type"] == "websocket.receive":
            on_message()
            await _pass_on(upstream, message)


async def _pass_on(upstream: UpstreamSocket, message: Message) -> None:
    text = message.get("text")
    if text is not None:
        await upstream.send_str(text)
    else:
        await upstream.send_bytes(message.get("bytes") or b"")


async def _to_browser(upstream: UpstreamSocket, send: Send) -> None:
    from aiohttp import WSMsgType

    while True:
        message = await upstream.receive()
        if message.type is WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
        else:
            break
    code, reason = UPSTREAM_LOST, ""
    if message.type is WSMsgType.CLOSE:
        code, reason = message.data or NORMAL, message.extra or ""
    await send({"type": "websocket.close", "code": _UNSENDABLE.get(code, code), "reason": reason})
