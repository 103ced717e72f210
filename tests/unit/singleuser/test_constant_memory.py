"""A gigabyte each way, through the program as people start it: its memory does not notice.

The bodies are files with nothing in them, and their readers throw them away in the kernel.
"""

from __future__ import annotations

import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.singleuser.raw_websocket import KEY, MASK, accepting
from tests.unit.singleuser.test_serve import connect, start

MEBIBYTE = 1024 * 1024
SIZE = 1024 * MEBIBYTE
MOST = 20 * MEBIBYTE
# One frame of that size, from a browser and from an application.
FROM_BROWSER = b"\x82\xff" + SIZE.to_bytes(8, "big") + MASK
FROM_APPLICATION = b"\x82\x7f" + SIZE.to_bytes(8, "big")

CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"

Serve = Callable[[socket.socket], None]


@dataclass
class Gateway:
    port: int
    pid: int
    serve: Serve = lambda connected: None

    def peak(self) -> int:
        """The most memory that the program has had so far, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        Path(name, "big.toml").write_text(f'title = "Big"\nroot = true\nurl = "{address}"\n')
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        with start("--dev", "--port", str(port), "--apps", name, environ={}) as process:
            connect("127.0.0.1", port).close()
            running = Gateway(port, process.pid)
            threading.Thread(target=accept, args=(listener, running), daemon=True).start()
            with running.connect() as client:  # what is imported late is
                running.serve = answer_nothing
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert head_of(client).startswith(b"HTTP/1.1 204 ")
            yield running
            process.kill()
            listener.shutdown(socket.SHUT_RDWR)


def accept(listener: socket.socket, running: Gateway) -> None:
    while True:
        try:
            connected, _ = listener.accept()
        except OSError:
            return
        with connected:
            running.serve(connected)


def answer_nothing(connected: socket.socket) -> None:
    head_of(connected)
    connected.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def head_of(connected: socket.socket) -> bytes:
    """Byte by byte: what follows is not for us."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connected.recv(1) or b"\r\n\r\n"
    return head


def pour(connected: socket.socket, size: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        assert connected.sendfile(file) == size


def pour_sized(connected: socket.socket) -> None:
    pour(connected, SIZE)


def pour_one_chunk(connected: socket.socket) -> None:
    connected.sendall(b"%x\r\n" % SIZE)
    pour(connected, SIZE)
    connected.sendall(b"\r\n" + END)


def pour_many_chunks(connected: socket.socket) -> None:
    piece = bytes(64 * 1024)
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
    for _ in range(SIZE // len(piece)):
        connected.sendall(chunk)
    connected.sendall(END)


def swallow(connected: socket.socket, size: int) -> None:
    left, buffer = size, memoryview(bytearray(MEBIBYTE))
    while left:
        count = connected.recv_into(buffer, min(left, MEBIBYTE), socket.MSG_TRUNC)
        assert count
        left -= count


def swallow_chunks(connected: socket.socket) -> None:
    """As many bytes as the data has, and then what the sizes of chunks took besides."""
    swallow(connected, SIZE)
    rest = b""
    while not rest.endswith(END):
        data = connected.recv(MEBIBYTE)
        assert data
        rest = rest[-len(END) :] + data


def swallow_body(connected: socket.socket, framing: bytes) -> None:
    if framing == CHUNKED:
        swallow_chunks(connected)
    else:
        swallow(connected, SIZE)


@contextmanager
def hardly_growing(gateway: Gateway) -> Iterator[None]:
    Path(f"/proc/{gateway.pid}/clear_refs").write_text("5", encoding="ascii")
    before = gateway.peak()
    yield
    assert gateway.peak() - before < MOST


FRAMINGS = [
    pytest.param(b"Content-Length: %d" % SIZE, pour_sized, id="sized"),
    pytest.param(CHUNKED, pour_one_chunk, id="one chunk"),
    pytest.param(CHUNKED, pour_many_chunks, id="many chunks"),
]


@pytest.mark.parametrize(("framing", "pour_body"), FRAMINGS)
def test_a_download(gateway: Gateway, framing: bytes, pour_body: Serve) -> None:
    def serve(connected: socket.socket) -> None:
        head_of(connected)
        connected.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
        pour_body(connected)

    gateway.serve = serve
    with hardly_growing(gateway), gateway.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert head_of(client).startswith(b"HTTP/1.1 200 ")
        swallow_body(client, framing)


@pytest.mark.parametrize(("framing", "pour_body"), FRAMINGS)
def test_an_upload(gateway: Gateway, framing: bytes, pour_body: Serve) -> None:
    def serve(connected: socket.socket) -> None:
        head_of(connected)
        swallow_body(connected, framing)
        connected.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    gateway.serve = serve
    with hardly_growing(gateway), gateway.connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % framing)
        pour_body(client)
        assert head_of(client).startswith(b"HTTP/1.1 204 ")


def test_one_frame_of_a_websocket(gateway: Gateway) -> None:
    def serve(connected: socket.socket) -> None:
        head_of(connected)
        connected.sendall(accepting())
        assert connected.recv(len(FROM_BROWSER), socket.MSG_WAITALL) == FROM_BROWSER
        swallow(connected, SIZE)
        connected.sendall(FROM_APPLICATION)
        pour(connected, SIZE)
        connected.recv(1)

    gateway.serve = serve
    with hardly_growing(gateway), gateway.connect() as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % KEY.encode()
        )
        assert head_of(client).startswith(b"HTTP/1.1 101 ")
        client.sendall(FROM_BROWSER)
        pour(client, SIZE)
        assert client.recv(len(FROM_APPLICATION), socket.MSG_WAITALL) == FROM_APPLICATION
        swallow(client, SIZE)
