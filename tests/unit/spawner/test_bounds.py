"""What one caller may take of the hub. A real Tornado server on a real socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import tornado.httpserver as httpserver
import tornado.web as web
from tornado.netutil import bind_unix_socket

from unixspawner import bounds
from unixspawner.bounds import BoundedServer, bound_http_server


class Echo(web.RequestHandler):  # type: ignore[misc]
    def post(self) -> None:
        self.write(str(len(self.request.body)))


@pytest.fixture
def replaced() -> Iterator[None]:
    before = httpserver.HTTPServer
    yield
    httpserver.HTTPServer = before


@pytest.fixture
def idle() -> float:
    return 0.2


@pytest.fixture
async def socket_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: None, idle: float
) -> AsyncIterator[Path]:
    monkeypatch.setattr(bounds, "IDLE", idle)
    monkeypatch.setattr(bounds, "BODY", 0.2)
    monkeypatch.setattr(bounds, "MAX_CONNECTIONS", 3)
    bound_http_server()
    # as JupyterHub makes it
    server = httpserver.HTTPServer(
        web.Application([("/", Echo)]),
        ssl_options=None,
        xheaders=True,
        trusted_downstream=[],
    )
    assert isinstance(server, BoundedServer)
    server.add_socket(bind_unix_socket(str(tmp_path / "hub.sock")))
    yield tmp_path / "hub.sock"
    server.stop()
    await server.close_all_connections()


@asynccontextmanager
async def connected(
    path: Path, number: int = 1
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    opened = [await asyncio.open_unix_connection(path) for _ in range(number)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in opened))


async def ended(path: Path, request: bytes) -> bytes:
    """What comes until the server ends the connection."""
    async with connected(path) as [(reader, writer)]:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 5)


def post(length: int, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % length + body


async def test_a_request_is_answered(socket_path: Path) -> None:
    assert (await ended(socket_path, post(3, b"abc"))).endswith(b"\r\n\r\n3")  # idle, it ends


@pytest.mark.parametrize(
    "request_text",
    [b"", b"POST / HT", post(3, b"a"), b"POST / HTTP/1.1\r\nHost: h\r\nX-Slow: "],
    ids=["nothing", "half a line", "half a body", "half a head"],
)
async def test_what_never_comes_is_not_waited_for(socket_path: Path, request_text: bytes) -> None:
    assert await ended(socket_path, request_text) == b""


async def test_a_huge_body_is_not_kept_in_memory(socket_path: Path) -> None:
    answer = await ended(socket_path, post(bounds.MAX_BODY + 1, b"x"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    body = b"x" * 1_000_000
    assert (await ended(socket_path, post(len(body), body))).endswith(b"\r\n\r\n1000000")


@pytest.mark.parametrize("idle", [60.0])
async def test_another_account_gets_so_many_connections_and_no_more(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "_caller", lambda connection: os.getuid() + 1)
    async with connected(socket_path, 3) as [(reader, writer), *_]:
        assert await ended(socket_path, b"") == b""
        writer.write(post(3, b"abc"))  # the ones that it has go on
        assert (await reader.readuntil(b"\r\n\r\n3")).startswith(b"HTTP/1.1 200 ")
    async with connected(socket_path) as [(reader, writer)]:
        writer.write(post(3, b"abc"))
        assert (await reader.readuntil(b"\r\n\r\n3")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("idle", [60.0])
async def test_the_proxy_brings_everybody(socket_path: Path) -> None:
    """It runs as the hub's account, as this test does."""
    async with connected(socket_path, 20) as [*_, (reader, writer)]:
        writer.write(post(3, b"abc"))
        assert (await reader.readuntil(b"\r\n\r\n3")).startswith(b"HTTP/1.1 200 ")
