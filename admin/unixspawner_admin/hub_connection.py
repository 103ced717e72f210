"""One connection to the hub's API, made by whoever is the hub's account (see hub_api)."""

import http.client
import json
import os
import socket
import stat

from .errors import AdminError
from .paths import ADMIN_TOKEN, HUB_SOCKET

SECONDS = 60.0  # a stop may take so long
MAX_ANSWER = 64 * 2**20
_MAX_TOKEN = 256
_PAGINATED = "application/jupyterhub-pagination+json"


class Connection:
    """One connection, in the child that is the hub's account."""

    def __init__(self, base: str, token: str) -> None:
        self._base, self._token = base, token
        self._connection = _UnixConnection("localhost", timeout=SECONDS)

    def again(self) -> "Connection":
        return Connection(self._base, self._token)

    def request(self, method: str, path: str) -> object:
        headers = {"Authorization": f"token {self._token}", "Accept": _PAGINATED}
        try:
            self._connection.request(method, self._base + path, headers=headers)
            answer = self._connection.getresponse()
            content = answer.read(MAX_ANSWER)
        except http.client.HTTPException as error:
            raise ConnectionError(f"no HTTP: {error!r}") from None
        if answer.status >= 400:
            raise AdminError(_complaint(answer.status, content))
        return json.loads(content) if content else None


class _UnixConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(HUB_SOCKET))


def read_token() -> str:
    descriptor = os.open(ADMIN_TOKEN, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, encoding="ascii", errors="replace") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AdminError(f"{ADMIN_TOKEN} is not a regular file.")
        return file.read(_MAX_TOKEN).strip()


def _complaint(status: int, content: bytes) -> str:
    try:
        message = json.loads(content)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = ""
    if status == 403:
        return "The hub does not accept the token of this command: restart the service."
    return str(message)[:500] or f"The hub answered with status {status}."
