"""One account cannot hold so many connections that the others get none."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.unit.backend.test_demo import DEADLINE, ME, run_demo
from websockets.sync.client import unix_connect

from unixspawner_backend.uvicorn_peer import MAX_CONNECTIONS


@pytest.fixture
def socket_path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "demo.sock"
    with run_demo("--socket", str(path)):
        yield path


@contextlib.contextmanager
def idle_connections(path: Path, number: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(number)]
        for each in held:
            each.settimeout(DEADLINE)
            each.connect(str(path))
        yield held


def is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def answers(path: Path) -> bool:
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, base_url="http://demo", timeout=DEADLINE) as client:
        try:
            return bool(client.get("/whoami").json()["name"] == ME.pw_name)
        except httpx.TransportError:
            return False


def test_an_account_gets_so_many_connections_and_no_more(socket_path: Path) -> None:
    with idle_connections(socket_path, MAX_CONNECTIONS) as held:
        with idle_connections(socket_path, 3) as surplus:
            assert [is_ended(each) for each in surplus] == [True] * 3
        assert not answers(socket_path)
        held[0].sendall(b"GET /whoami HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")
        with held[0].makefile("rb") as answer:  # the ones that it has go on
            assert answer.read().startswith(b"HTTP/1.1 200 ")
        assert answers(socket_path)
    assert answers(socket_path)


def test_a_websocket_counts_once_and_is_given_back(socket_path: Path) -> None:
    for _ in range(MAX_CONNECTIONS + 1):
        with unix_connect(str(socket_path), uri="ws://demo/echo", compression=None) as websocket:
            websocket.send("x")
            assert websocket.recv() == f"{ME.pw_name}: x"
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            opened = unix_connect(str(socket_path), uri="ws://demo/echo", compression=None)
            stack.enter_context(opened)
        assert not answers(socket_path)


def test_the_descriptors_that_root_allows_are_taken(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        with run_demo("--socket", str(tmp_path / "demo.sock")) as demo:
            limits = resource.prlimit(demo.process.pid, resource.RLIMIT_NOFILE)
            assert limits == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
