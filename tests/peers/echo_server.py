"""What the spawner under test starts: answers every path with itself, on descriptor 3.

Run by `mediator_without_sudo.py`; JupyterHub's own tests use a program like it on a TCP port.
"""

from __future__ import annotations

import http.server
import socket
import socketserver
from typing import Any


class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.path.partition("?")[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """The stock one wants a caller's address, which a Unix socket does not have."""


class Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__("", Echo)
        self.socket = socket.socket(fileno=3)

    def fileno(self) -> int:
        return self.socket.fileno()

    def get_request(self) -> tuple[socket.socket, str]:
        return self.socket.accept()

    def close_request(self, request: Any) -> None:
        request.close()


if __name__ == "__main__":
    Server().serve_forever()
