"""A person's JupyterLab as its page uses it: the REST API, kernels and terminals.

Run by pytest. Everything goes through proxy and gateway, with the person's cookies.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.system.browserless import Browserless
from tests.system.host import DEADLINE, patient
from websockets.sync.client import ClientConnection, connect


@dataclass(frozen=True)
class Lab:
    """`place` is its address below the service's, such as user/alice/."""

    person: Browserless
    place: str

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self.person.fetch(method, self.place + path, body=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def text(self, path: str) -> str:
        return self.person.fetch("GET", self.place + path).text

    @contextmanager
    def kernel(self, name: str = "python3") -> Iterator[ClientConnection]:
        """A running kernel, as the WebSocket of its channels."""
        kernel = self.ask("POST", "api/kernels", {"name": name})["id"]
        with self._websocket(f"api/kernels/{kernel}/channels") as channels:
            yield channels

    @contextmanager
    def terminal(self) -> Iterator[ClientConnection]:
        name = self.ask("POST", "api/terminals")["name"]
        with self._websocket(f"terminals/websocket/{name}") as terminal:
            yield terminal

    def _websocket(self, path: str) -> ClientConnection:
        return open_websocket(self.person, self.place + path)


def open_websocket(
    person: Browserless, path: str, subprotocols: list[str] | None = None
) -> ClientConnection:
    """As a page of the service opens one."""
    url = person.url + path
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    headers = {"Cookie": person.cookie_header(path), "Origin": origin}
    return connect(
        url.replace("http", "ws", 1),
        additional_headers=headers,
        subprotocols=subprotocols,  # type: ignore[arg-type]  # a NewType of str
        open_timeout=patient(DEADLINE),
        max_size=None,
    )


def execute(channels: ClientConnection, code: str) -> str:
    """What a kernel prints when it runs the code; its complaint when it cannot."""
    message = uuid.uuid4().hex
    header = {
        "msg_id": message,
        "msg_type": "execute_request",
        "username": "",
        "session": uuid.uuid4().hex,
        "version": "5.3",
    }
    request = {
        "channel": "shell",
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False},
    }
    channels.send(json.dumps(request))
    printed = ""
    while True:
        said = json.loads(channels.recv(timeout=patient(DEADLINE)))
        if said["parent_header"].get("msg_id") != message:
            continue
        kind, content = said["msg_type"], said["content"]
        if kind == "stream":
            printed += content["text"]
        elif kind == "error":
            printed += content["evalue"]
        elif kind == "status" and content["execution_state"] == "idle":
            return printed


def type_line(terminal: ClientConnection, line: str, until: str) -> str:
    """Type a line into a terminal and read until something appears."""
    terminal.send(json.dumps(["stdin", f"{line}\r"]))
    return read_until(terminal, until)


def read_until(terminal: ClientConnection, text: str) -> str:
    shown = ""
    while text not in shown:
        kind, *rest = json.loads(terminal.recv(timeout=patient(DEADLINE)))
        if kind == "stdout":
            shown += rest[0]
    return shown
