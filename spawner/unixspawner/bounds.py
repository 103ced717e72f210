"""Bounds on what one caller can take of the hub: connections, memory, patience.

Runs in the hub, called by jupyterhub_config.py before the hub makes its HTTP server. JupyterHub
leaves these open: an idle connection stays for an hour, a body that never comes for ever, and a
body may have 100 MB. Whoever is in the users' group can connect to the hub's socket directly.
"""

import os
import socket
import struct
from typing import Any

import tornado.httpserver as httpserver

# The proxy keeps idle connections for 30 s (config/node/preload.mjs); ours must not end before.
IDLE = 75.0  # seconds, for the head of a request as well
BODY = 60.0  # seconds for a whole body
MAX_BODY = 4 * 1024 * 1024  # octets; forms with small files, and the requests of the hub's API
MAX_CONNECTIONS = 64  # of one account that is not the hub's own; a server needs one at a time

_UCRED = struct.Struct("iII")  # pid, uid and gid: SO_PEERCRED in unix(7)


class BoundedServer(httpserver.HTTPServer):
    """Tornado's server with these bounds."""

    def initialize(self, *args: Any, **options: Any) -> None:
        bounds = {
            "idle_connection_timeout": IDLE,
            "body_timeout": BODY,
            "max_body_size": MAX_BODY,
        }
        super().initialize(*args, **bounds, **options)
        self._held: dict[int, set[Any]] = {}

    def handle_stream(self, stream: Any, address: Any) -> None:
        """A new connection."""
        if self._admits(stream):
            super().handle_stream(stream, address)
        else:
            stream.close()

    def _admits(self, stream: Any) -> bool:
        uid = _caller(stream.socket)
        if uid is None or uid == os.getuid():
            return True  # the proxy, which brings everybody's requests
        held = self._held.setdefault(uid, set())
        if len(held) >= MAX_CONNECTIONS:
            held.difference_update({each for each in held if each.closed()})
        if len(held) >= MAX_CONNECTIONS:
            return False
        held.add(stream)
        return True


def _caller(connection: socket.socket) -> int | None:
    """The account at the other end of a Unix socket."""
    if connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid: int = _UCRED.unpack(raw)[1]
    return uid


def bound_http_server() -> None:
    """From now on whatever server the hub makes is a bounded one."""
    httpserver.HTTPServer = BoundedServer
