"""Connections to applications: one aiohttp client for each, for the life of the server.

Run as the person signed in. aiohttp is imported with the first forwarded request. The address of a
request is put together from the application's fixed place and a path; nothing parses it as a URL
again, so no path can lead anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .catalogue import Application, Upstream
from .headers import Headers
from .request import Incoming
from .sessions import Session

if TYPE_CHECKING:
    import aiohttp
    import yarl

CONNECT_TIMEOUT = 10.0
# Shorter than the five seconds after which common servers drop an idle connection, so that a
# request is not sent into one that is just being closed.
KEEPALIVE = 3.0
READ_BUFFER = 64 * 1024
MAX_HEADER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Errand:
    """One request on its way to an application, with what the application may see of it."""

    request: Incoming
    application: Application
    session: Session
    url: yarl.URL
    headers: Headers


class Upstreams:
    """Two clients for each application: one keeps connections, the other opens fresh ones."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[Upstream, bool], aiohttp.ClientSession] = {}

    def session(self, upstream: Upstream, *, fresh: bool) -> aiohttp.ClientSession:
        """With `fresh`, no kept connection is used.

        A kept one may turn out to be closed, and only a request that merely reads can be sent
        twice.
        """
        session = self._sessions.get((upstream, fresh))
        if session is None:
            session = self._sessions[upstream, fresh] = _open(upstream, fresh)
        return session

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()


def upstream_url(upstream: Upstream, below: bytes, query: bytes, scheme: str = "http") -> yarl.URL:
    import yarl

    return yarl.URL.build(
        scheme=scheme,
        host=upstream.host or "localhost",
        port=upstream.port or None,
        path="/" + below.decode("latin-1"),
        query_string=query.decode("latin-1"),
        encoded=True,
    )


def _open(upstream: Upstream, fresh: bool) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        connector=_connector(upstream, fresh),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
        read_bufsize=READ_BUFFER,
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
    )


def _connector(upstream: Upstream, fresh: bool) -> aiohttp.BaseConnector:
    import aiohttp

    keepalive = None if fresh else KEEPALIVE
    if upstream.socket_path is not None:
        return aiohttp.UnixConnector(
            upstream.socket_path, limit=0, force_close=fresh, keepalive_timeout=keepalive
        )
    return aiohttp.TCPConnector(
        limit=0,
        force_close=fresh,
        keepalive_timeout=keepalive,
        resolver=aiohttp.ThreadedResolver(),
    )
