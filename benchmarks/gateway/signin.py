"""Signs in as a browser does; the stand-in hub's part is played here.

Used by the benchmark, for our server and for the stock one alike.
"""

import contextlib
import http.client
import socket
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .errors import BenchmarkError

# The hub gives one to every browser before it sends it to a server.
SESSION_ID = "jupyterhub-session-id=0123456789abcdef0123456789abcdef"
TIMEOUT = 30.0


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("lab.example", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self._path))


def sign_in(port: int, path: str) -> str:
    """The Cookie header of a browser that has gone through the whole of the sign-in."""
    return sign_in_over(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT), path)


def sign_in_over(connection: http.client.HTTPConnection, path: str) -> str:
    with contextlib.closing(connection):
        location, cookies = _visit(connection, path, [SESSION_ID])
        query = parse_qs(urlsplit(location).query)
        callback = f"{query['redirect_uri'][0]}?code=given&state={query['state'][0]}"
        _, cookies = _visit(connection, callback, [SESSION_ID, *cookies])
    return "; ".join([SESSION_ID, *cookies])


def _visit(
    connection: http.client.HTTPConnection, path: str, cookies: list[str]
) -> tuple[str, list[str]]:
    connection.request("GET", path, headers={"Cookie": "; ".join(cookies)})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 302:
        raise BenchmarkError(f"Signing in at {path} was answered with status {answer.status}.")
    lines = answer.headers.get_all("Set-Cookie", [])
    kept = [line.partition(";")[0] for line in lines if "Max-Age=0" not in line]
    return answer.headers["Location"], kept
