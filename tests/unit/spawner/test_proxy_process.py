"""A proxy is recognised by what it is and how it was started, never by a number in a file."""

import os
import pathlib
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest

from unixspawner import listeners, proxy_process
from unixspawner.proxy import _content, kept_token
from unixspawner.proxy_process import MARK, ProxyProcess

STAND_IN = """
import signal, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2])
listener.listen()
if len(sys.argv) > 3:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def api_socket(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "api.sock")


def start(api_socket: str, *more: str, name: str = "configurable-http-proxy") -> "Proxy":
    return subprocess.Popen(
        [sys.executable, "-c", STAND_IN, f"/opt/bin/{name}", api_socket, *more],
        env={MARK: "a-mark"},
        stdout=subprocess.PIPE,
    )


Proxy = subprocess.Popen[bytes]


@pytest.fixture
def proxy(api_socket: str) -> Iterator[Proxy]:
    with start(api_socket) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_proxy_at_our_socket_is_found_and_its_mark_read(proxy: Proxy, api_socket: str) -> None:
    (found,) = proxy_process.find(api_socket)
    assert (found.pid, found.mark, found.poll()) == (proxy.pid, "a-mark", None)
    assert proxy_process.listener_of(api_socket) == proxy.pid
    found.close()


def test_a_proxy_at_another_socket_is_not_ours(proxy: Proxy, tmp_path: pathlib.Path) -> None:
    assert proxy_process.find(str(tmp_path / "other.sock")) == []
    assert proxy_process.listener_of(str(tmp_path / "other.sock")) == 0


def test_another_program_at_our_socket_is_no_proxy(api_socket: str) -> None:
    with start(api_socket, name="something-else") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert proxy_process.find(api_socket) == []
        process.kill()


async def test_a_proxy_is_ended_and_its_end_is_seen(proxy: Proxy, api_socket: str) -> None:
    (found,) = proxy_process.find(api_socket)
    await found.end()
    assert found.poll() == 0
    assert proxy.wait() == -15
    found.close()


async def test_one_that_does_not_mind_is_killed(
    api_socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_process, "PATIENCE", 0.2)
    with start(api_socket, "deaf") as process:
        assert process.stdout is not None
        process.stdout.readline()
        (found,) = proxy_process.find(api_socket)
        await found.end()
        assert process.wait() == -9
        found.close()


def test_whoever_has_the_number_afterwards_is_not_signalled(proxy: Proxy) -> None:
    held = ProxyProcess.hold(proxy.pid)
    assert held is not None
    proxy.kill()
    proxy.wait()
    held.terminate()  # nobody
    assert held.poll() == 0
    held.close()


def test_the_owner_of_an_address_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listeners.owner_of("127.0.0.1", port) == os.getuid()
        assert listeners.owner_of("0.0.0.0", port) == os.getuid()
        assert listeners.owner_of("127.0.0.2", port) is None
    assert listeners.owner_of("127.0.0.1", port) is None


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_the_owner_of_an_ipv6_address_is_told() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert listeners.owner_of("::1", server.getsockname()[1]) == os.getuid()


def test_the_secret_is_kept_and_private(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "token"
    token = kept_token(str(path))
    assert len(token) == 64
    assert kept_token(str(path)) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("spoil", ["empty", "readable", "missing", "not-text"])
def test_a_secret_that_is_none_any_more_is_replaced(tmp_path: pathlib.Path, spoil: str) -> None:
    path = tmp_path / "token"
    token = kept_token(str(path))
    if spoil == "missing":
        path.unlink()
    elif spoil == "readable":
        path.chmod(0o644)
    else:
        path.write_bytes(b"\xff" * 64 if spoil == "not-text" else b"")
    assert kept_token(str(path)) not in ("", token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_are_compared_by_what_is_in_them(tmp_path: pathlib.Path) -> None:
    one, other, large = (tmp_path / name for name in ("one", "other", "large"))
    one.write_text("x")
    other.write_text("x")
    with large.open("wb") as file:
        file.truncate(2**20 + 5)
    assert _content(str(one)) == _content(str(other)) != ""
    assert _content(str(large)) == str(2**20 + 5)
    assert _content("--import") == _content(str(tmp_path)) == ""
