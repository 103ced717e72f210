"""The demo as people start it: a real process, a real socket, HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import re
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import httpx
import pytest

from unixspawner_backend.demo import render_page
from unixspawner_backend.peer import Caller, Proof

ROOTS = [Path(__file__).resolve().parents[3] / name for name in ("backend",)]
ME = pwd.getpwuid(os.getuid())
# The socket listens already when this is said; uvicorn says no more about a passed one.
STARTED = b"Application startup complete."
DEADLINE = 20.0


@dataclass(frozen=True)
class Demo:
    process: subprocess.Popen[bytes]
    said: bytes


@contextlib.contextmanager
def run_demo(*arguments: str, ready_when: bytes = STARTED) -> Iterator[Demo]:
    """The demo as a child, ready to be asked, and gone afterwards."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, ROOTS)),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "unixspawner_backend.demo", *arguments]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        try:
            yield Demo(process, read_until(process, ready_when))
        finally:
            process.kill()


def read_until(process: subprocess.Popen[bytes], wanted: bytes) -> bytes:
    assert process.stderr is not None
    said = b""
    while wanted not in said:
        ready, _, _ = select.select([process.stderr], [], [], DEADLINE)
        chunk = os.read(process.stderr.fileno(), 65536) if ready else b""
        assert chunk, f"the demo did not start: {said.decode()}"
        said += chunk
    return said


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo.sock"


@pytest.fixture(scope="module")
def demo(socket_path: Path) -> Iterator[Demo]:
    with run_demo("--socket", str(socket_path)) as demo:
        yield demo


@pytest.fixture
def client(demo: Demo, socket_path: Path) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(socket_path)), base_url="http://demo"
    ) as client:
        yield client


@pytest.fixture
async def websocket_session(demo: Demo, socket_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket_path))) as session:
        yield session


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_page_names_the_account_its_uid_and_how_that_is_known(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert f'<span id="name">{ME.pw_name}</span>' in answer.text
    assert f'<dd id="uid">{ME.pw_uid}</dd>' in answer.text
    assert "checked by the kernel" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_forged_header_changes_nothing(client: httpx.Client) -> None:
    forged = {"X-Forwarded-User": "daemon", "x-forwarded-uid": "1", "X_Forwarded_User": "daemon"}
    facts = client.get("/whoami", headers=forged).json()
    assert facts["name"] == ME.pw_name
    assert facts["proof"] == "kernel"


def test_whoami_answers_exactly_these_fields(client: httpx.Client) -> None:
    assert sorted(client.get("/whoami").json()) == [
        "gid",
        "groups",
        "host",
        "name",
        "proof",
        "uid",
        "visitor",
    ]


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/page.html", "/../peer.py", "/%2e%2e/peer.py"]
)
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_every_local_account_may_connect(demo: Demo, socket_path: Path) -> None:
    mode = socket_path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o666


async def test_the_websocket_knows_the_caller_too(websocket_session: aiohttp.ClientSession) -> None:
    async with websocket_session.ws_connect(
        "http://demo/echo", headers={"X-Forwarded-User": "daemon"}
    ) as websocket:
        await websocket.send_str("hello")
        assert await asyncio.wait_for(websocket.receive_str(), DEADLINE) == f"{ME.pw_name}: hello"


def test_a_second_demo_refuses_to_take_the_socket_over(demo: Demo, socket_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    command = [sys.executable, "-m", "unixspawner_backend.demo", "--socket", str(socket_path)]
    second = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert second.returncode == 1
    assert second.stderr == (
        f"The demo application cannot listen: "
        f"Another process already answers at {socket_path}; stop it first.\n"
    )


def test_a_killed_demo_leaves_a_socket_that_the_next_one_replaces(tmp_path: Path) -> None:
    path = tmp_path / "demo.sock"
    with run_demo("--socket", str(path)) as first:
        first.process.kill()
        first.process.wait(DEADLINE)
    assert path.exists()
    with (
        run_demo("--socket", str(path)),
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client,
    ):
        assert client.get("http://demo/whoami").status_code == 200


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0_and_takes_the_socket_away(
    tmp_path: Path, sign: signal.Signals
) -> None:
    path = tmp_path / "demo.sock"
    with run_demo("--socket", str(path)) as demo:
        demo.process.send_signal(sign)
        assert demo.process.wait(DEADLINE) == 0
    assert list(tmp_path.iterdir()) == []


def test_by_hand_it_believes_the_header_and_says_so() -> None:
    port = free_port()
    with (
        run_demo("--port", str(port), ready_when=b"running on") as demo,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        assert b"Warning: callers are not checked." in demo.said
        page = client.get("/", headers={"X-Forwarded-User": "daemon"})
        assert '<span id="name">daemon</span>' in page.text
        assert "not checked: any account can send the header" in page.text
        assert client.get("/").status_code == 403
        assert (
            client.get("/", headers={"X-Forwarded-User": "no-such-account-here"}).status_code == 403
        )


def test_started_on_tcp_by_mistake_the_kernel_mode_serves_nobody(tmp_path: Path) -> None:
    port = free_port()
    script = (
        "import uvicorn; from unixspawner_backend.demo import create_app; "
        "from unixspawner_backend.uvicorn_peer import PEER_PROTOCOLS; "
        f"uvicorn.run(create_app(), port={port}, **PEER_PROTOCOLS)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stderr=subprocess.PIPE
    ) as process:
        try:
            assert b"running on" in read_until(process, b"running on")
            with pytest.raises(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/", headers={"X-Forwarded-User": "daemon"})
        finally:
            process.kill()


ALICE = Caller("alice", 1001, 1001, ("alice", "jupyterhub-users"), Proof.KERNEL)


def links_in(page: str) -> list[str]:
    return re.findall(r'(?:href|src|data-socket)="([^"]*)"', page)


@pytest.mark.parametrize("prefix", ["/user/alice/", "/lab/user/alice/work/", "/user/alice%40lab/"])
@pytest.mark.parametrize("slash", ["/", ""])
def test_links_lead_below_the_gateways_prefix(prefix: str, slash: str) -> None:
    page = render_page(ALICE, prefix.rstrip("/") + slash)
    assert links_in(page) == [
        f"{prefix}page.css",
        f"{prefix}page.js",
        "#main",
        f"{prefix}apps/",
        f"{prefix}logout",
        f"{prefix}echo",
    ]
    assert re.search(r'id="logout"[^>]*hidden', page) is None


def test_beside_other_applications_the_ways_out_lead_to_the_server() -> None:
    assert links_in(render_page(ALICE, "/user/alice/apps/demo")) == [
        "/user/alice/apps/demo/page.css",
        "/user/alice/apps/demo/page.js",
        "#main",
        "/user/alice/apps/",
        "/user/alice/logout",
        "/user/alice/apps/demo/echo",
    ]


@pytest.mark.parametrize(
    "prefix",
    [
        None,
        "",
        "//evil.example/",
        "/\\evil.example/",
        "https://evil.example/",
        "x/",
        '/"><script>/',
        "/a//b/",
    ],
)
def test_a_prefix_that_is_no_path_of_this_site_is_not_used(prefix: str | None) -> None:
    page = render_page(ALICE, prefix)
    assert links_in(page) == ["/page.css", "/page.js", "#main", "/apps/", "/logout", "/echo"]
    assert re.search(r'id="logout"[^>]*hidden', page) is not None


def test_whatever_the_account_database_holds_is_escaped() -> None:
    hostile = replace(ALICE, name="<b>$host</b>", groups=('"><script>',), visitor="<i>")
    page = render_page(hostile, "/")
    assert "<b>" not in page
    assert "&lt;b&gt;$host&lt;/b&gt;" in page
    assert "<script>" not in page
    assert '<strong id="visitor">&lt;i&gt;</strong>' in page


def test_whoami_is_json_that_a_shell_script_can_read(client: httpx.Client) -> None:
    assert isinstance(json.loads(client.get("/whoami").content)["uid"], int)


def test_the_look_is_that_of_all_other_pages() -> None:
    """A copy, since a service account's program takes nothing from a person's server."""
    root = Path(__file__).resolve().parents[3]
    copy = root / "backend/unixspawner_backend/demo_page/style.css"
    assert copy.read_bytes() == (root / "singleuser/unixspawner_singleuser/style.css").read_bytes()
