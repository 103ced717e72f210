"""An answer that comes before the end of its request arrives, whoever hangs up meanwhile."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

from tests.unit.singleuser.fakes import Browser
from tests.unit.singleuser.raw import (
    OK,
    Reader,
    Writer,
    answer_to,
    answering,
    application,
    connection,
    head,
)

from unixspawner_singleuser.upstream_http import UpstreamConnection

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"x" * 65536
BIG = 64 * 1024 * 1024
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 100000\r\n\r\n" + b"y" * 100_000


class TestAnAnswerBeforeTheEndOfTheRequest:
    async def test_arrives_though_the_application_reads_no_more(
        self, alice: Browser, directory: Path
    ) -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(TOO_LARGE)

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(head(alice, "PUT", "x", f"Content-Length: {BIG}") + b"x" * 1000)
            answer = await asyncio.wait_for(reader.readuntil(b"y" * 100_000), 5)
            assert answer.startswith(b"HTTP/1.1 413 ")

    async def test_arrives_though_the_application_hangs_up_at_once(
        self, alice: Browser, directory: Path
    ) -> None:
        """A program of its own pace: what it does falls between any two steps of ours."""
        path = directory / "app.sock"
        path.unlink()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            thread = threading.Thread(target=refuse_uploads, args=(listener, 20))
            thread.start()
            for _ in range(20):
                async with connection(directory) as (reader, writer):
                    writer.write(head(alice, "PUT", "x", f"Content-Length: {BIG}"))
                    pushing = asyncio.create_task(push(writer))
                    answer = await asyncio.wait_for(reader.readuntil(b"y" * 100_000), 5)
                    assert answer.startswith(b"HTTP/1.1 413 ")
                    pushing.cancel()
                    await asyncio.gather(pushing, return_exceptions=True)
            await asyncio.to_thread(thread.join)

    async def test_is_read_though_what_we_write_meanwhile_fails(self) -> None:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_unix_connection(UpstreamConnection, sock=ours)
        upstream.begin()
        upstream.write(b"PUT /x HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
        theirs.sendall(TOO_LARGE)
        theirs.close()
        upstream.write(b"def")  # before the loop has looked at the connection
        assert (await upstream.head()).status == 413
        body = b""
        while not upstream.finished or not body:
            body += await upstream.read()
        assert body == b"y" * 100_000
        assert not upstream.end(sent_all=False)

    async def test_is_not_taken_back_from_a_client_that_sends_all_of_it_first(
        self, alice: Browser, directory: Path
    ) -> None:
        """It has asked for the connection's end, and it listens only when it has said it all."""
        size = 8 * 1024 * 1024
        request = head(alice, "PUT", "x", f"Content-Length: {size}", "Connection: close")

        def send_and_receive() -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(directory / "server.sock"))
                client.sendall(request + b"x" * size)
                with client.makefile("rb") as answer:
                    return answer.read()

        async with application(directory, answering(TOO_LARGE)):
            answer = await asyncio.to_thread(send_and_receive)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.endswith(b"\r\n\r\n" + b"y" * 100_000)

    async def test_does_not_make_the_rest_of_the_request_another_one(
        self, alice: Browser, directory: Path
    ) -> None:
        inner = head(alice, "GET", "smuggled")
        request = head(alice, "PUT", "x", f"Content-Length: {len(inner)}")
        last = head(alice, "GET", "x", "Connection: close")
        async with application(directory, answering(OK)):
            answer = await answer_to(directory, request + inner + last)
        assert answer.count(b"HTTP/1.1 200 OK") == 2


def refuse_uploads(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        connected, _ = listener.accept()
        with connected:
            connected.recv(100_000)
            connected.sendall(TOO_LARGE)


async def push(writer: Writer) -> None:
    while not writer.is_closing():
        writer.write(PIECE)
        await writer.drain()
