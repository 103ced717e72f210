"""Reads one answer of an application, piece by piece, strictly.

Run as the person signed in. Every byte is an application's and may be wrong: what could be read in
two ways is an error, what comes after an answer is nobody's, and trailers and interim answers go no
further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import httptools

from .websocket_handshake import SWITCHING

if TYPE_CHECKING:
    from .headers import Headers

MAX_HEAD = 64 * 1024
_CONTINUE = 100
_VERSIONS = frozenset({"1.0", "1.1"})


class AnswerHead(NamedTuple):
    status: int
    headers: Headers


class AnswerReader:
    """`feed` it until `finished`, or until there is an `error`."""

    def __init__(self, *, bodyless: bool, upgrade: bool) -> None:
        """`bodyless`: to HEAD. `upgrade`: to a request that asked for another protocol."""
        self._bodyless = bodyless
        self._upgrade = upgrade
        self._head_size = 0
        self._status = 0
        self._headers: Headers = []
        self._interim = False
        self._until_close = False
        self.head: AnswerHead | None = None
        self.chunks: list[bytes] = []
        self.buffered = 0
        self.error = ""
        self.keep_alive = False
        self.continued = False  # the application has sent 100 Continue
        self.finished = False  # the whole answer has arrived; some of it may still be unread
        self.touched = False  # at least one byte of the answer has arrived
        self.changed = False  # what follows is in the protocol that was asked for
        self.beyond = b""  # what of that came together with the answer
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self.touched = self.touched or bool(data)
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.beyond = data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self.fail("its answer is not HTTP")

    def end(self, *, cleanly: bool) -> None:
        """The connection is at its end."""
        if self._until_close and cleanly and not self.error:
            self.finished = True
        self.fail("the connection was closed")

    def fail(self, reason: str) -> None:
        """Nothing more is believed."""
        if not self.finished:
            self.error = self.error or reason
        self.keep_alive = False

    def take(self) -> bytes:
        """What has arrived of the body and has not been taken yet."""
        data = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        self.chunks, self.buffered = [], 0
        return data

    def release(self) -> None:
        """Nothing more will be read; lets go of the parser, which holds on to this object."""
        self._parser = None

    # What the parser tells. An exception here reaches `feed` as HttpParserError.

    def on_message_begin(self) -> None:
        if self.finished:
            raise ValueError("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is not None:
            return  # a trailer
        self._head_size += len(name) + len(value) + 4
        if self._head_size > MAX_HEAD:
            raise ValueError("the head is too long")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None:
            raise ValueError("not asked")
        version = parser.get_http_version()
        if version not in _VERSIONS:
            raise ValueError("not HTTP/1")
        self._status = parser.get_status_code()
        changes = self._status == SWITCHING
        if changes and not (self._upgrade and parser.should_upgrade()):
            raise ValueError("it changed the protocol unasked")
        self._interim = 100 <= self._status < 200 and not changes
        if self._interim:
            return
        self._until_close = self._frames_nothing(version)
        if changes and not self._until_close:
            raise ValueError("a body where another protocol begins")
        self.keep_alive = parser.should_keep_alive() and not changes
        self.head = AnswerHead(self._status, self._headers)
        self.finished = self._bodyless or changes
        self.changed = changes

    def on_body(self, body: bytes) -> None:
        if self._bodyless:
            self.keep_alive = False
            return
        self.chunks.append(body)
        self.buffered += len(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self.continued = self.continued or self._status == _CONTINUE
            self._headers = []
        else:
            self.finished = True

    def _frames_nothing(self, version: str) -> bool:
        """True when only the end of the connection ends the body. Raises ValueError."""
        codings = [value for name, value in self._headers if name == b"transfer-encoding"]
        if codings and [coding.strip().lower() for coding in codings] != [b"chunked"]:
            raise ValueError("a transfer coding that nobody asked for")
        if codings and version != "1.1":
            raise ValueError("a transfer coding in a version that has none")
        return not codings and all(name != b"content-length" for name, _ in self._headers)
