"""Requests as the gate sees them, and a clock that a test turns. Used by this folder only."""

from __future__ import annotations

from tests.unit.singleuser.fakes import PREFIX

from unixspawner_singleuser.request import Incoming, read_request
from unixspawner_singleuser.settings import decoded_segments


def incoming(path: str = PREFIX, method: str = "GET", **headers: str) -> Incoming:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return received(path, pairs, method)


def received(path: str, headers: list[tuple[bytes, bytes]], method: str = "GET") -> Incoming:
    raw, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "headers": headers,
    }
    return read_request(scope, decoded_segments(PREFIX))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
