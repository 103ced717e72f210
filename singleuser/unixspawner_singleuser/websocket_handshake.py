"""The opening handshake of a WebSocket: what a browser has to ask, what an application has to say.

Run as the person signed in. An upgrade is where two programs most easily disagree about what the
following bytes are, so both halves are read strictly.
https://datatracker.ietf.org/doc/html/rfc6455#section-4
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence

from .request import HeaderList

Pairs = Sequence[tuple[bytes, bytes]]

VERSION = b"13"
SWITCHING = 101
# What belongs to one hop, and is said anew on each.
UPGRADE = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")  # sixteen bytes
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BODY = frozenset({b"content-length", b"transfer-encoding"})


class OtherVersionError(ValueError):
    """The client speaks a version of the protocol that nobody uses any more."""


def is_wanted(headers: Pairs) -> bool:
    """True when one of the protocols that a client would like to change to is this one."""
    return b"websocket" in _tokens(headers, b"upgrade")


def check_upgrade(headers: Pairs) -> None:
    """Raises ValueError when a request to change the protocol, to whichever, has a body."""
    if any(name in _BODY for name, _ in headers):
        raise ValueError("a body where another protocol may begin")


def check_request(method: str, version: str, headers: Pairs) -> None:
    """Raises ValueError, or OtherVersionError, unless it is exactly a WebSocket's handshake."""
    if method != "GET" or version != "1.1":
        raise ValueError("an upgrade that is not a plain GET")
    if list(_tokens(headers, b"upgrade")) != [b"websocket"]:
        raise ValueError("a choice of protocols")
    keys = _values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise ValueError("not a key")
    if _values(headers, b"sec-websocket-version") != [VERSION]:
        raise OtherVersionError("another version")


def offered_protocols(headers: Pairs) -> list[str]:
    names = _items(headers, b"sec-websocket-protocol")
    return [name.decode("latin-1") for name in names]


def accept_for(headers: Pairs) -> bytes:
    """What proves that the key of a handshake was read: Sec-WebSocket-Accept."""
    key = _values(headers, b"sec-websocket-key")[0]
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest)


def what_is_wrong(asked: HeaderList | Pairs, answered: Pairs) -> str:
    """Why an application's 101 is no agreement to what was asked; empty when it is."""
    if list(_tokens(answered, b"upgrade")) != [b"websocket"]:
        return "it changed to another protocol"
    if _values(answered, b"sec-websocket-accept") != [accept_for(asked)]:
        return "it did not read the key"
    chosen = list(_items(answered, b"sec-websocket-protocol"))
    if len(chosen) > 1 or not set(chosen) <= set(_items(asked, b"sec-websocket-protocol")):
        return "it chose a subprotocol that was not offered"
    if not set(_extensions(answered)) <= set(_extensions(asked)):
        return "it chose an extension that was not offered"
    return ""


def has_extensions(headers: Pairs) -> bool:
    return any(True for _ in _extensions(headers))


def _extensions(headers: Pairs) -> Iterator[bytes]:
    for item in _items(headers, b"sec-websocket-extensions"):
        yield item.partition(b";")[0].strip().lower()


def _tokens(headers: Pairs, name: bytes) -> Iterator[bytes]:
    return (item.lower() for item in _items(headers, name))


def _items(headers: Pairs, name: bytes) -> Iterator[bytes]:
    for value in _values(headers, name):
        yield from filter(None, (item.strip() for item in value.split(b",")))


def _values(headers: Pairs, name: bytes) -> list[bytes]:
    return [value.strip() for key, value in headers if key == name]
