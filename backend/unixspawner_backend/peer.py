"""Who is calling a shared backend, asked of the kernel. Runs as the backend's service account.

A header on a TCP port proves nothing on a machine with many accounts: each of them can connect and
send one. On a Unix socket the kernel records, at connect(), which account the connecting process
belonged to (SO_PEERCRED, unix(7)); no byte that the caller sends changes that. This module reads
the record, looks the account up, and hands it to an ASGI application. It needs the standard library
alone; `uvicorn_peer` and `fastapi_caller` connect it to those two.
"""

from __future__ import annotations

import asyncio
import enum
import grp
import os
import pwd
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

# The shapes of https://asgi.readthedocs.io/en/latest/specs/main.html
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

# Keys of our own, because middleware and proxies' headers may rewrite scope["client"]; nothing
# else writes these.
PEER_KEY = "unixspawner.peer"
CALLER_KEY = "unixspawner.caller"

_UCRED = struct.Struct("3i")  # struct ucred { pid_t pid; uid_t uid; gid_t gid; } of unix(7)
# What useradd, LDAP and SSSD produce, domains included; the upper bound is LOGIN_NAME_MAX.
_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,255}", re.ASCII)
# An account of the machine, or a service of the hub, which may not pass for one.
_VISITOR = re.compile(rf"(?:service:)?(?:{_ACCOUNT_NAME.pattern})", re.ASCII)


class CallerError(Exception):
    """The caller cannot be served; the message is one sentence that may be shown to the person."""


class Proof(enum.Enum):
    """How we know who is calling."""

    KERNEL = "kernel"
    HEADER = "header"


@dataclass(frozen=True)
class PeerCredentials:
    """The process that called connect(): its id, and its effective uid and gid at that moment."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True)
class Caller:
    """The account a request comes from.

    `visitor` is somebody else who looks over this account's shoulder (a share, an administrator).
    It is the word of the account's own gateway: good for showing, never for deciding.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[str, ...]
    proof: Proof
    visitor: str | None = None


def peer_credentials(connection: socket.socket) -> PeerCredentials:
    """Ask the kernel who connected. Raises CallerError for anything but a Unix socket."""
    if connection.family != socket.AF_UNIX:
        raise CallerError("This application answers on its Unix socket only; use the gateway.")
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return PeerCredentials(*_UCRED.unpack(raw))


def caller_by_uid(uid: int, visitor: str | None = None) -> Caller:
    """Look the kernel's uid up in the machine's account database."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        raise CallerError(f"User id {uid} has no account on this machine.") from None
    return _caller(account, Proof.KERNEL, visitor)


def caller_by_name(name: str, visitor: str | None = None) -> Caller:
    """Look a name up that a trusted header brought."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise CallerError("The account in X-Forwarded-User does not exist here.") from None
    return _caller(account, Proof.HEADER, visitor)


def _caller(account: pwd.struct_passwd, proof: Proof, visitor: str | None) -> Caller:
    group_ids = os.getgrouplist(account.pw_name, account.pw_gid)
    return Caller(
        name=account.pw_name,
        uid=account.pw_uid,
        gid=account.pw_gid,
        groups=tuple(_group_name(gid) for gid in group_ids),
        proof=proof,
        visitor=visitor,
    )


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)  # as `id` prints it


def account_name_in(
    headers: Headers, wanted: bytes, form: re.Pattern[str] = _ACCOUNT_NAME
) -> str | None:
    """The account name in a header, None without one.

    Raises CallerError when the header is repeated or holds something else.
    """
    values = [value for name, value in headers if name.lower() == wanted]
    if not values:
        return None
    text = values[0].decode("latin-1").strip()
    if len(values) > 1 or not form.fullmatch(text):
        raise CallerError(f"The header {wanted.decode()} must hold exactly one account name.")
    return text


async def _by_kernel(scope: Scope) -> Caller:
    peer = scope.get(PEER_KEY)
    if not isinstance(peer, PeerCredentials):
        raise CallerError("The caller's identity could not be read from the connection.")
    visitor = account_name_in(scope["headers"], b"x-forwarded-visitor", _VISITOR)
    # In a thread: a directory server that answers slowly must not hold up everybody else.
    return await asyncio.to_thread(caller_by_uid, peer.uid, visitor)


async def _by_header(scope: Scope) -> Caller:
    name = account_name_in(scope["headers"], b"x-forwarded-user")
    if name is None:
        raise CallerError("Nobody is signed in: open this application through the gateway.")
    visitor = account_name_in(scope["headers"], b"x-forwarded-visitor", _VISITOR)
    return await asyncio.to_thread(caller_by_name, name, visitor)


class CallerMiddleware:
    """Put the Caller into scope[CALLER_KEY], or answer 403 before the application sees the request.

    With Proof.KERNEL every identity header but the visitor's is ignored. Proof.HEADER believes
    whoever can connect: for debugging on a machine of one's own.
    """

    def __init__(self, app: ASGIApp, proof: Proof = Proof.KERNEL) -> None:
        self.app = app
        self._find = _by_kernel if proof is Proof.KERNEL else _by_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            caller = await self._find(scope)
        except CallerError as refusal:
            await _refuse(scope, send, str(refusal))
            return
        await self.app({**scope, CALLER_KEY: caller}, receive, send)


async def _refuse(scope: Scope, send: Send, sentence: str) -> None:
    if scope["type"] == "websocket":
        # Closing before accepting is how ASGI spells "403" for a WebSocket.
        await send({"type": "websocket.close", "code": 1008, "reason": sentence[:120]})
        return
    body = sentence.encode() + b"\n"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def with_peer(app: ASGIApp, connection: socket.socket) -> ASGIApp:
    """Wrap an application, for one connection of a server, so that it sees who connected."""
    peer = peer_credentials(connection)

    async def app_with_peer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, PEER_KEY: peer}, receive, send)

    return app_with_peer
