"""uvicorn's HTTP/1.1 on httptools, stricter where it guesses.

Run as the person signed in, on every byte that the proxy sends. What two programs could read
differently is refused with status 400 and the end of the connection. A request to change to
WebSocket is checked here; one to change to anything else is answered as if it had not asked, and
nothing after it is read.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from .browser import LEFT_KEY
from .connections import TAKE_KEY, Wire, nobody_is_there
from .cycle import Cycle, WebSocketCycle
from .websocket_handshake import (
    VERSION,
    OtherVersionError,
    check_request,
    check_upgrade,
    is_wanted,
    offered_protocols,
)

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, HTTPScope

MAX_HEAD = 64 * 1024
# A client has so many seconds for the head of a request, from its first byte.
HEAD_TIMEOUT = 30.0
# After an answer that comes before the end of its request: for how long a client that goes on
# sending is listened to, and how much it may pause.
LINGER = 30.0
# What may come before a WebSocket has been accepted.
MAX_EARLY = 64 * 1024
_VERSIONS = frozenset({"1.0", "1.1"})
# An absolute address or `*` names another place than a path below our prefix.
_TARGET = re.compile(rb"/[!\"$-~]*")


def _last_answer(status: int, sentence: bytes, *lines: bytes) -> bytes:
    head = (
        b"content-type: text/plain; charset=utf-8",
        b"content-length: %d" % len(sentence),
        b"connection: close",
        *lines,
    )
    return STATUS_LINE[status] + b"\r\n".join(head) + b"\r\n\r\n" + sentence


_BAD_REQUEST = _last_answer(400, b"Invalid HTTP request received.")
_OUTDATED = _last_answer(
    426,
    b"This server speaks version 13 of the WebSocket protocol.",
    b"sec-websocket-version: " + VERSION,
)
AnyCycle = TypeVar("AnyCycle", bound=Cycle)


class StrictProtocol(HttpToolsProtocol):
    """Raises ValueError in the parser's callbacks, which is answered with status 400."""

    _head_size = 0
    _in_head = False
    _in_body = False
    _deaf = False  # nothing that comes from now on is a request
    _timer: asyncio.TimerHandle | None = None
    _running: Cycle | None = None  # the request that is being answered; `cycle` is the last read

    # What the event loop tells.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._early = bytearray()
        self._extensions: dict[str, object] = {LEFT_KEY: self._has_left}
        self._watch_the_clock()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._hear_early(data)
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._deaf = True
            self._stop_timers()
            self._hear_early(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(outdated=isinstance(error.__context__, OtherVersionError))
        self._watch_the_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        self._forsake()
        super().connection_lost(exc)

    # What the parser tells.

    def on_message_begin(self) -> None:
        self._head_size = 0
        self._in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        # A trailer would otherwise still join the headers of a request that has been let in.
        if self._in_head:
            name = name.lower()
            self.headers.append((name, value))
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        version = self.parser.get_http_version()
        if version not in _VERSIONS or not _TARGET.fullmatch(self.url):
            raise ValueError("not a path, or not HTTP/1")
        _refuse_ambiguity(self.headers, version)
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["raw_path"], _, scope["query_string"] = self.url.partition(b"?")
        scope["path"] = unquote(scope["raw_path"].decode("ascii"))
        scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        changes = self.parser.should_upgrade()
        if changes:
            check_upgrade(self.headers)  # the parser takes a body for the other protocol's
        if changes and is_wanted(self.headers):
            check_request(scope["method"], version, self.headers)
            self._take_up_websocket()
        else:
            keep_alive = version != "1.0" and self.parser.should_keep_alive() and not changes
            self._take_up(self._new(Cycle, keep_alive=keep_alive))

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    # One request after the other.

    def _new(self, kind: type[AnyCycle], *, keep_alive: bool) -> AnyCycle:
        cycle = kind(
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
        cycle.hang_up = self._hang_up
        return cycle

    def _take_up(self, cycle: Cycle) -> None:
        """Hands the request over, at once or when the one before it has been answered."""
        previous, self.cycle = self.cycle, cycle
        if previous is None or previous.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _take_up_websocket(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            raise ValueError("another protocol before the last answer in this one")
        own = {**self._extensions, TAKE_KEY: self._take, "websocket.http.response": {}}
        scope: dict[str, object] = {
            **self.scope,
            "type": "websocket",
            "scheme": "ws",
            "subprotocols": offered_protocols(self.headers),
            "extensions": own,
        }
        self.scope = cast("HTTPScope", scope)
        self.expect_100_continue = False
        self._take_up(self._new(WebSocketCycle, keep_alive=False))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cast("Cycle", cycle)
        super()._start_asgi_task(cycle, app)

    def _take(self) -> Wire:
        """The connection, from now on somebody else's."""
        self.connections.discard(self)
        self._stop_timers()
        self.parser = None  # type: ignore[assignment]
        return Wire(self.transport, bytes(self._early))

    def _hear_early(self, data: bytes) -> None:
        """Bytes of a protocol that has not been agreed on yet; all others are nobody's."""
        if isinstance(self.cycle, WebSocketCycle):
            self._early += data
            if len(self._early) > MAX_EARLY:
                self.flow.pause_reading()

    # The end.

    def _refuse(self, *, outdated: bool) -> None:
        """Ends the connection, with an answer unless that would get into the middle of another."""
        self._deaf = True
        self.pipeline.clear()
        running = self._running
        in_the_middle = running is not None and running.is_answering
        self._forsake()
        if in_the_middle:
            self.transport.abort()
            return
        self.transport.write(_OUTDATED if outdated else _BAD_REQUEST)
        self._linger()

    def _forsake(self) -> None:
        """The request that is being answered is told that nobody waits for the answer."""
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()

    def _hang_up(self) -> None:
        if self._in_body:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Says that this was all, and lets a client that is still sending finish.

        To close at once would make its kernel throw away what it has not read of our answer yet.
        """
        self._deaf = True
        self.connections.discard(self)
        self._stop_timers()
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._timer = self.loop.call_later(LINGER, self.transport.abort)

    def _has_left(self) -> bool:
        return self.transport.is_closing() or nobody_is_there(self.transport)

    def _watch_the_clock(self) -> None:
        """Whoever has to send a head next has so long for all of it, however slowly it drips."""
        if self._deaf:
            return
        answered = self.cycle is None or self.cycle.response_complete
        if self._in_head or (answered and not self._in_body):
            if self._timer is None:
                self._timer = self.loop.call_later(HEAD_TIMEOUT, self.timeout_keep_alive_handler)
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_timers(self) -> None:
        self._unset_keepalive_if_required()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count(self, size: int) -> None:
        self._head_size += size
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
