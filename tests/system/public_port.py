"""Bytes on the public port: requests that no client library would send. Run by pytest as root."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.system.browserless import Browserless
from tests.system.host import Host


@contextmanager
def connected(host: Host, timeout: float = 20.0) -> Iterator[socket.socket]:
    """A connection to the proxy, as a browser has it."""
    url = urlsplit(host.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    with socket.create_connection((url.hostname, port), timeout) as connection:
        if url.scheme != "https":
            yield connection
            return
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(connection) as encrypted:
            yield encrypted


def answer_to(host: Host, *pieces: bytes, timeout: float = 20.0) -> bytes:
    """Everything that comes back until the other side ends the connection."""
    with connected(host, timeout) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return until_end(connection)


def until_end(connection: socket.socket) -> bytes:
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def until(connection: socket.socket, text: bytes) -> bytes:
    """What comes up to and with a text, and what came along behind it."""
    received = b""
    while text not in received:
        piece = connection.recv(65536)
        assert piece, f"the connection ended before {text!r}: {received!r}"
        received += piece
    return received


def statuses(answer: bytes) -> list[int]:
    """The status of each answer on a connection."""
    heads = answer.split(b"HTTP/1.1 ")[1:]
    return [int(each[:3]) for each in heads]


def head(
    host: Host, person: Browserless | None, method: str, target: str, *lines: str, path: str = ""
) -> bytes:
    """The head of a request with the person's cookies for `path` (or `target`) and the token."""
    own = []
    if person is not None:
        cookies, token = person.credentials(path or target)
        own = [f"Cookie: {cookies}", f"X-XSRFToken: {token}"]
    rows = [f"{method} {target} HTTP/1.1", f"Host: {urlsplit(host.url).netloc}", *own, *lines]
    return "\r\n".join(rows).encode("latin-1") + b"\r\n\r\n"
