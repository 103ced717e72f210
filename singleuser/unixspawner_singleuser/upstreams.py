"""Connections to applications, kept open between requests.

Run as the person signed in. A connection leads to the application's fixed place, which never comes
from a request.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from .catalogue import Application, Upstream
from .errors import UpstreamUnavailableError
from .headers import Headers
from .request import Incoming
from .sessions import Session
from .upstream_http import UpstreamConnection

CONNECT_TIMEOUT = 10.0
# Shorter than the five seconds after which common servers drop an idle connection, so that a
# request is not sent into one that is just being closed.
KEEPALIVE = 3.0
MAX_IDLE = 64  # connections to each application


@dataclass(frozen=True, slots=True)
class Errand:
    """One request on its way to an application, with what the application may see of it."""

    request: Incoming
    application: Application
    session: Session
    target: bytes  # path and query, as the application gets them
    headers: Headers


class Upstreams:
    def __init__(self) -> None:
        self._idle: dict[Upstream, list[UpstreamConnection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def take_idle(self, upstream: Upstream) -> UpstreamConnection | None:
        """A kept connection, the one used last. It may turn out to be closed at the other end."""
        idle = self._idle.get(upstream)
        while idle:
            connection = idle.pop()
            if connection.is_open and connection.idle_since + KEEPALIVE > time.monotonic():
                return connection
            connection.close()
        return None

    async def connect(self, upstream: Upstream) -> UpstreamConnection:
        """A fresh connection. Raises UpstreamUnavailableError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if upstream.socket_path is not None:
                    _, connection = await loop.create_unix_connection(
                        UpstreamConnection, upstream.socket_path
                    )
                else:
                    _, connection = await loop.create_connection(
                        UpstreamConnection, upstream.host, upstream.port
                    )
        except OSError as error:  # TimeoutError and name resolution included
            # The class alone: an error's text may hold an address.
            raise UpstreamUnavailableError(type(error).__name__) from None
        return connection

    def keep(self, upstream: Upstream, connection: UpstreamConnection) -> None:
        idle = self._idle.setdefault(upstream, [])
        if len(idle) >= MAX_IDLE:
            connection.close()
            return
        idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEEPALIVE, self._drop_old)

    def _drop_old(self) -> None:
        oldest = time.monotonic() - KEEPALIVE
        for upstream, idle in self._idle.items():
            young = [one for one in idle if one.is_open and one.idle_since > oldest]
            for connection in set(idle).difference(young):
                connection.close()
            self._idle[upstream] = young
        self._sweep = None
        if any(self._idle.values()):
            self._sweep = asyncio.get_running_loop().call_later(KEEPALIVE, self._drop_old)

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
