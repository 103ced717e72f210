"""uvicorn's HTTP/1.1 on httptools, stricter where it guesses and quicker where it hesitates.

Run as the person signed in, on every byte that the proxy sends. What two programs could read
differently is refused with status 400 and the end of the connection. The head of an answer leaves
together with the first piece of its body: one system call and one packet instead of two.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGISendEvent,
        HTTPResponseBodyEvent,
        HTTPResponseStartEvent,
    )

MAX_HEAD = 64 * 1024
_VERSIONS = frozenset({"1.0", "1.1"})
_NO_BODY = frozenset({204, 304})
_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# An absolute address or `*` names another place than a path below our prefix.
_TARGET = re.compile(rb"/[!\"$-~]*")


class StrictProtocol(HttpToolsProtocol):
    """Raises ValueError in the parser's callbacks, which uvicorn answers with status 400."""

    _head_size = 0
    _head_complete = False

    def on_message_begin(self) -> None:
        self._head_size = 0
        self._head_complete = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(url)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name)
        self._count(value)
        # A trailer would otherwise still join the headers of a request that has been let in.
        if not self._head_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_complete = True
        version = self.parser.get_http_version()
        if version not in _VERSIONS or not _TARGET.fullmatch(self.url):
            raise ValueError("not a path, or not HTTP/1")
        _refuse_ambiguity(self.headers, version)
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        scope["raw_path"], _, scope["query_string"] = self.url.partition(b"?")
        scope["path"] = unquote(scope["raw_path"].decode("ascii"))
        self._take_up(version != "1.0" and self.parser.should_keep_alive())

    def _take_up(self, keep_alive: bool) -> None:
        """Hands the request over, at once or when the one before it has been answered."""
        previous = self.cycle
        self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        if previous is None or previous.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _count(self, piece: bytes) -> None:
        self._head_size += len(piece)
        if self._head_size > MAX_HEAD:
            raise ValueError("the head is too long")


def _refuse_ambiguity(headers: list[tuple[bytes, bytes]], version: str) -> None:
    hosts = codings = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            codings += 1
            if value.strip().lower() != b"chunked":
                raise ValueError("a transfer coding that is not understood")
    if hosts > 1 or codings > 1 or (hosts == 0 and version == "1.1"):
        raise ValueError("a header that must be there once")


class Cycle(RequestResponseCycle):
    """One request and its answer. Sends what uvicorn's sends, in fewer steps."""

    _held = b""  # the head, until the first piece of the body or until the loop gets round to it

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
        self.waiting_for_100_continue = False
        pieces = [STATUS_LINE[message["status"]]]
        closes = False
        for name, value in message["headers"]:
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"connection":
                closes = closes or b"close" in value.lower()
            line = name + b": " + value
            if _UNSENDABLE.search(line):
                raise RuntimeError("A header holds a control character.")
            pieces += (line, b"\r\n")
        self.keep_alive = self.keep_alive and not closes
        if not self.keep_alive and not closes:
            pieces.append(b"connection: close\r\n")
        bodyless = self.scope["method"] == "HEAD" or message["status"] in _NO_BODY
        if self.chunked_encoding is None:
            self.chunked_encoding = not bodyless
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
        else:
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
            self.transport.close()
        self.on_response()

    def _flush(self) -> None:
        if self._held and not self.disconnected:
            head, self._held = self._held, b""
            self.transport.write(head)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
