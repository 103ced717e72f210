"""A connection that changes hands, and what the kernel knows about one and asyncio does not tell.

Run as the person signed in. A transport that fails to write gives up what it has not read yet, and
one that reads nothing for a while does not notice that nobody is at the other end.
"""

from __future__ import annotations

import asyncio
import os
import select
from typing import NamedTuple

# Where our own HTTP server leaves, in the ASGI scope, a function that returns the Wire of a
# connection that has been accepted as a WebSocket.
TAKE_KEY = "unixspawner.take"
_PIECE = 64 * 1024
_ENOUGH = 1024 * 1024


class Wire(NamedTuple):
    """A connection that its protocol has let go of, and what had arrived on it by then."""

    transport: asyncio.Transport
    early: bytes


def left_behind(transport: asyncio.BaseTransport) -> bytes:
    """What the other side said before it hung up, as far as it has arrived. To be called from
    `connection_lost`, where the socket is still open."""
    descriptor = _descriptor(transport)
    data = b""
    try:
        while descriptor >= 0 and len(data) < _ENOUGH:
            piece = os.read(descriptor, _PIECE)
            if not piece:
                break
            data += piece
    except OSError:
        pass
    return data


def nobody_is_there(transport: asyncio.BaseTransport) -> bool:
    """True when the other side has closed the connection, whatever is still to be read from it."""
    descriptor = _descriptor(transport)
    if descriptor < 0:
        return True
    poll = select.poll()
    poll.register(descriptor, 0)  # hang-ups and errors are always told
    return bool(poll.poll(0))


def _descriptor(transport: asyncio.BaseTransport) -> int:
    socket = transport.get_extra_info("socket")
    return -1 if socket is None else int(socket.fileno())
