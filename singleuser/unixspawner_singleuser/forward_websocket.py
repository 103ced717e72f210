"""Forwards one WebSocket to an application.

Run as the person signed in. The application is asked first, with the browser's own handshake: only
when it agrees is the browser told so, in its words, and from then on the two speak to each other.
Anything else that it answers is passed on as the answer it is, and nothing after it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from .activity import Activity
from .answers import AnswerHead
from .browser import Browser
from .connections import TAKE_KEY
from .errors import UpstreamUnavailableError
from .exchanges import Exchanges
from .relay import answer_headers, relay
from .rewriting import Place
from .upstream_http import UpstreamConnection, request_head
from .upstreams import Errand, Upstreams
from .websocket_handshake import SWITCHING, UPGRADE, has_extensions, what_is_wrong

if TYPE_CHECKING:
    from .websocket_tunnel import Tunnel

HANDSHAKE_TIMEOUT = 30.0


class WebSocketForwarder:
    def __init__(
        self, upstreams: Upstreams, exchanges: Exchanges, activity: Activity, place: Place
    ) -> None:
        self._upstreams = upstreams
        self._exchanges = exchanges
        self._on_data = activity.note
        self._place = place

    async def forward(self, errand: Errand, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises UpstreamUnavailableError as long as nothing has been answered."""
        async with Browser(scope, receive, send, empty=True) as browser:
            # Known from before the connection is made, so that a session's end cannot miss it.
            with self._exchanges.track(errand.session, browser.interrupt) as exchange:
                self._exchanges.mark_endless(exchange)
                connection = await self._upstreams.connect(errand.application.upstream)
                try:
                    head = await _ask(connection, errand)
                    if head.status == SWITCHING:
                        tunnel = await self._open(connection, head, errand, browser, scope, send)
                        exchange.close = tunnel.close
                        await tunnel.run()
                    else:
                        await relay(
                            connection, head, browser.answer, errand, self._place, self._on_data
                        )
                finally:
                    connection.end(sent_all=False)

    async def _open(
        self,
        connection: UpstreamConnection,
        head: AnswerHead,
        errand: Errand,
        browser: Browser,
        scope: Scope,
        send: Send,
    ) -> Tunnel:
        from .websocket_tunnel import Tunnel  # not at start

        wrong = what_is_wrong(errand.headers, head.headers)
        if wrong:
            raise UpstreamUnavailableError(wrong)
        browser.leave_alone()
        headers = answer_headers(head, errand, self._place)
        await send({"type": "websocket.accept", "headers": headers})
        return Tunnel(
            scope["extensions"][TAKE_KEY](),
            connection.release(),
            extended=has_extensions(head.headers),
            on_data=self._on_data,
        )


async def _ask(connection: UpstreamConnection, errand: Errand) -> AnswerHead:
    connection.begin(upgrade=True)
    connection.write(request_head("GET", errand.target, errand.headers + UPGRADE))
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            return await connection.head()
    except TimeoutError:
        raise UpstreamUnavailableError("it does not answer a handshake") from None
