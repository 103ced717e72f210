"""Uvicorn with kernel-checked callers: the peer credentials of each connection in the ASGI scope.

Runs as the backend's service account. Apart from `peer`, so that a backend on another ASGI server
need not have uvicorn. To use it: `uvicorn.Config(app, **PEER_PROTOCOLS)`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections import Counter
from contextlib import suppress
from typing import Any, TypedDict, cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .peer import ASGIApp, peer_credentials, with_peer

MAX_CONNECTIONS = 256  # of one account; its gateway keeps 64 and has one more per open WebSocket


def _app_for(app: Any, transport: asyncio.BaseTransport) -> Any:
    # A TCP connection raises here; asyncio then logs it and drops the connection before one byte
    # has been read.
    return with_peer(cast(ASGIApp, app), transport.get_extra_info("socket"))


class Held:
    """The connections of each account: one account alone must not use up all descriptors."""

    def __init__(self) -> None:
        self._holder: dict[asyncio.BaseTransport, int] = {}
        self._number: Counter[int] = Counter()

    def admit(self, transport: asyncio.BaseTransport) -> bool:
        """False when the account has its fill."""
        uid = peer_credentials(transport.get_extra_info("socket")).uid
        if self._number[uid] >= MAX_CONNECTIONS:
            return False
        self._holder[transport] = uid
        self._number[uid] += 1
        return True

    def release(self, transport: asyncio.BaseTransport) -> None:
        uid = self._holder.pop(transport, None)
        if uid is not None:
            self._number[uid] -= 1


_held = Held()


class PeerHTTPProtocol(H11Protocol):
    """HTTP/1.1; one instance for each connection, so the application is wrapped once for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app = _app_for(self.app, transport)
        super().connection_made(transport)
        if not _held.admit(transport):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        _held.release(self.transport)
        super().connection_lost(exc)


class PeerWebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket; uvicorn hands an upgraded connection over by calling connection_made() again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.app = _app_for(self.app, transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        _held.release(self.transport)
        super().connection_lost(exc)


class PeerProtocols(TypedDict):
    http: type[PeerHTTPProtocol]
    ws: type[PeerWebSocketProtocol]
    proxy_headers: bool


# Without proxy_headers=False uvicorn lets X-Forwarded-For rewrite what it logs as the client.
PEER_PROTOCOLS: PeerProtocols = {
    "http": PeerHTTPProtocol,
    "ws": PeerWebSocketProtocol,
    "proxy_headers": False,
}


def allow_many_connections() -> None:
    """Takes as many descriptors as root allows: the usual 1024 are for programs that select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class SocketInUseError(Exception):
    """Another process already answers at the path; the message is for the person who started us."""


def listen_for_everybody(path: str) -> socket.socket:
    """A listening Unix socket that every local account may connect to (0666), as itself.

    It appears at `path` by rename, complete, and replaces one that a killed predecessor left.
    """
    if _answers(path):
        raise SocketInUseError(f"Another process already answers at {path}; stop it first.")
    new_path = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(new_path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(new_path)
    os.chmod(new_path, 0o666)  # noqa: S103 - meant for all
    listener.listen(socket.SOMAXCONN)
    os.rename(new_path, path)
    return listener


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True
