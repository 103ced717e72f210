"""uvicorn's HTTP/1.1 with httptools, made stricter where it guesses.

Run as the person signed in, on every byte that the proxy sends. What two programs could read
differently is refused with status 400 and the end of the connection.
"""

from __future__ import annotations

import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024
# An absolute address or `*` names another place than a path below our prefix.
_PATH = re.compile(rb"/[!-~]*")


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
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name)
        self._count(value)
        # A trailer would otherwise still join the headers of a request that has been let in.
        if not self._head_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_complete = True
        if not _PATH.fullmatch(self.url):
            raise ValueError("not a path")
        _refuse_ambiguity(self.headers, self.parser.get_http_version())
        super().on_headers_complete()

    def _count(self, piece: bytes) -> None:
        self._head_size += len(piece)
        if self._head_size > MAX_HEAD:
            raise ValueError("the head is too long")


def _refuse_ambiguity(headers: list[tuple[bytes, bytes]], version: str) -> None:
    hosts, codings = 0, 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            codings += 1
            if value.strip().lower() != b"chunked":
                raise ValueError("a transfer coding that is not understood")
    if hosts > 1 or codings > 1 or (hosts == 0 and version == "1.1"):
        raise ValueError("a header that must be there once")
