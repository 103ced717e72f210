"""The application behind every side: raw ASGI, so that it is never what limits a gateway.

Run by uvicorn from the benchmark's environment. Answers 1 KiB, echoes WebSocket messages, and
gives and takes bodies of any size.
"""

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SMALL = b"x" * 1024
PIECE = b"x" * (256 * 1024)
HEADERS = [
    (b"content-type", b"text/plain"),
    (b"cache-control", b"no-store"),
    (b"etag", b'"benchmark"'),
]


async def application(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await _echo(receive, send)
    elif scope["path"].endswith("/download"):
        await _download(int(scope["query_string"]), send)
    elif scope["path"].endswith("/upload"):
        await _answer(send, str(await _count(receive)).encode())
    else:
        await _answer(send, SMALL)


async def _answer(send: Send, body: bytes) -> None:
    headers = [*HEADERS, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _download(size: int, send: Send) -> None:
    headers = [*HEADERS, (b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while size > 0:
        await send({"type": "http.response.body", "body": PIECE[:size], "more_body": True})
        size -= len(PIECE)
    await send({"type": "http.response.body", "body": b""})


async def _count(receive: Receive) -> int:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return size


async def _echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
