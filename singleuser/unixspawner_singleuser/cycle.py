"""One request on a connection of ours, and its answer; and the handshake of a WebSocket.

Run as the person signed in. Sends what uvicorn's cycle sends, in fewer steps: the head of an answer
leaves together with the first piece of its body, in one system call and one packet instead of two.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from .websocket_handshake import SWITCHING, UPGRADE

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGIReceiveEvent,
        ASGISendEvent,
        HTTPResponseBodyEvent,
        HTTPResponseStartEvent,
    )

    from .headers import Headers

_NO_BODY = frozenset({204, 304})
_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    hang_up: Callable[[], None]  # ends the connection once the answer is complete
    _until_close = False  # the end of the connection is the end of the body
    _held = b""  # the head, until the first piece of the body or until the loop gets round to it

    @property
    def is_answering(self) -> bool:
        return self.response_started and not self.response_complete

    async def send(self, message: ASGISendEvent) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._hold_head(message)
        elif message["type"] == "http.response.body" and self.response_started:
            self._write_body(message)
        else:
            raise RuntimeError(f"{message['type']} comes at the wrong time")

    def _hold_head(self, message: HTTPResponseStartEvent) -> None:
        self.response_started = True
        if self.waiting_for_100_continue and self.more_body:
            self.keep_alive = False  # the body may never come: what does would be anything
        self.waiting_for_100_continue = False
        pieces, closes = [STATUS_LINE[message["status"]], *_lines(message["headers"])], False
        for name, value in message["headers"]:
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"connection":
                closes = closes or b"close" in value.lower()
        self.keep_alive = self.keep_alive and not closes
        if not self.keep_alive and not closes:
            pieces.append(b"connection: close\r\n")
        bodyless = self.scope["method"] == "HEAD" or message["status"] in _NO_BODY
        if self.chunked_encoding is None:
            old = self.scope["http_version"] == "1.0"  # its only way is the connection's end
            self.chunked_encoding = not bodyless and not old
            self._until_close = old and not bodyless
            if self.chunked_encoding:
                pieces.append(b"transfer-encoding: chunked\r\n")
        self._held = b"".join(pieces) + b"\r\n"
        asyncio.get_running_loop().call_soon(self._flush)

    def _write_body(self, message: HTTPResponseBodyEvent) -> None:
        if self.response_complete:
            raise RuntimeError("The answer was complete already.")
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            body, self.expected_content_length = b"", 0
        elif self.chunked_encoding:
            body = _chunk(body) + (b"" if more else b"0\r\n\r\n")
        elif not self._until_close:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("The answer is longer than its Content-Length.")
        head, self._held = self._held, b""
        if head or body:
            self.transport.write(head + body if head else body)
        if not more:
            self._finish()

    def _finish(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("The answer is shorter than its Content-Length.")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.hang_up()
        self.on_response()

    def _flush(self) -> None:
        if self._held and not self.disconnected:
            head, self._held = self._held, b""
            self.transport.write(head)


class WebSocketCycle(Cycle):
    """A handshake: ends in an answer like any other, or in a connection for somebody to take.

    `websocket.accept` has to bring Sec-WebSocket-Accept with it, and the choice of subprotocol and
    extensions. What is sent and received then is not for ASGI.
    """

    _greeted = False

    async def receive(self) -> ASGIReceiveEvent:
        if not self._greeted:
            self._greeted = True
            return {"type": "websocket.connect"}
        while not (self.disconnected or self.response_complete):
            await self.message_event.wait()
            self.message_event.clear()
        return {"type": "websocket.disconnect", "code": 1006, "reason": None}

    async def send(self, message: ASGISendEvent) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept(cast("Headers", message.get("headers", ())))
        elif kind == "websocket.close" and not self.response_started:
            headers = [(b"content-length", b"0")]
            await super().send({"type": "http.response.start", "status": 403, "headers": headers})
            await super().send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            plain = {**message, "type": kind.removeprefix("websocket.")}
            await super().send(cast("ASGISendEvent", plain))

    def _accept(self, headers: Headers) -> None:
        if self.response_started:
            raise RuntimeError("The handshake has been answered already.")
        self.response_started = self.response_complete = True
        if not self.disconnected:
            lines = _lines((*UPGRADE, *headers))
            self.transport.write(STATUS_LINE[SWITCHING] + b"".join(lines) + b"\r\n")


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    lines = [name + b": " + value for name, value in headers]
    if _UNSENDABLE.search(b"".join(lines)):
        raise RuntimeError("A header holds a control character.")
    return [line + b"\r\n" for line in lines]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
