"""What one server of ours weighs: fresh, after use, and with a WebSocket open.

Run before the sides are started, so that no other process of the kind shares its pages.
"""

import re
import socket
import time
from pathlib import Path

from .errors import BenchmarkError
from .figures import Weight
from .processes import Processes
from .sides import PREFIX, Programs, Stage
from .signin import SocketConnection, sign_in_over

REQUESTS = 2000
# After its first seconds a server tidies up what its start has left over.
SETTLED = 5.0
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def weigh(what: Programs, work: Path) -> Weight:
    with Processes(work) as processes:
        stage = Stage(what, work, processes)
        place = work / "server.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
            listener.listen(512)
            pid = stage.server("server", stage.apps_on_socket(), listener)
        _health(place)
        time.sleep(SETTLED)
        idle = mebibytes(pid)
        cookie = sign_in_over(SocketConnection(place), PREFIX)
        _use(place, cookie)
        used = mebibytes(pid)
        with _opened(place, cookie) as client:
            for _ in range(100):
                client.sendall(b"\x81\xa0\0\0\0\0" + b"x" * 32)
                client.recv(2 + 32, socket.MSG_WAITALL)
            return Weight(idle, used, mebibytes(pid))


def mebibytes(pid: int) -> float:
    found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
    return int(found[1]) / 1024 if found else 0


def _health(place: Path) -> None:
    connection = SocketConnection(place)
    connection.request("GET", f"{PREFIX}api")
    if connection.getresponse().status != 200:
        raise BenchmarkError("Our server does not answer that it is healthy.")
    connection.close()


def _use(place: Path, cookie: str) -> None:
    connection = SocketConnection(place)
    for number in range(REQUESTS):
        connection.request("GET", f"{PREFIX}x", headers={"Cookie": cookie})
        answer = connection.getresponse()
        if len(answer.read()) != 1024:
            raise BenchmarkError(f"Request {number} was answered with {answer.status}.")
    connection.close()


def _opened(place: Path, cookie: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(place))
    client.sendall(
        f"GET {PREFIX}echo HTTP/1.1\r\nHost: lab.example\r\nOrigin: http://lab.example\r\n"
        f"Cookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1) or b"\r\n\r\n"
    if not head.startswith(b"HTTP/1.1 101 "):
        raise BenchmarkError(f"No WebSocket: {head[:60]!r}")
    return client
