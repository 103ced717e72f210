"""The sides that are measured, each a real program in front of the same application.

Run by whoever runs the benchmark, with no rights of its own: all on ports of 127.0.0.1, so that one
client can drive every side alike.
"""

import contextlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from . import hub
from .errors import BenchmarkError
from .figures import CHP, DIRECT, OURS, SERVER_PROXY

CLONE = Path(__file__).resolve().parent.parent.parent
PREFIX = f"/user/{hub.USER}/"
START_TIMEOUT = 30.0
# The hub gives one to every browser before it sends it to a server.
SESSION_ID = "jupyterhub-session-id=0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Side:
    """Where to ask, and the process whose memory counts."""

    name: str
    port: int
    pid: int
    path: str = "/"
    cookie: str = field(default="none=0", repr=False)


@dataclass(frozen=True)
class Programs:
    """What is run: the interpreters of both environments and the proxy."""

    environment: Path
    server: list[str]
    server_environment: dict[str, str]
    proxy: list[str]


def programs(environment: Path, release: Path, source: Path | None) -> Programs:
    """`source` runs our server from a clone, with the interpreter of the release."""
    python = str(release / "bin/python")
    server = [python, "-I", "-m", "unixspawner_singleuser"]
    variables = {}
    if source is not None:
        server.remove("-I")
        variables = {"PYTHONPATH": str(source)}
    proxy = [
        str(release / "bin/node"),
        str(release / "node_modules/.bin/configurable-http-proxy"),
    ]
    return Programs(environment, server, variables, proxy)


@contextlib.contextmanager
def running(what: Programs, work: Path) -> Iterator[dict[str, Side]]:
    with contextlib.ExitStack() as stack:

        def start(name: str, command: list[str], port: int, **environ: str) -> int:
            log = stack.enter_context((work / f"{name}.log").open("w"))
            base = {"PATH": os.defpath, "HOME": str(work), "LANG": "C.UTF-8"}
            process = subprocess.Popen(
                command, env=base | environ, stdout=log, stderr=log, cwd=work
            )
            stack.callback(_end, process)
            _wait_for(port, process, work / f"{name}.log")
            return process.pid

        ports = _free_ports(6)
        application, hub_port, ours, chp, chp_api, stock = ports
        direct = start(
            "application",
            _asgi(what, "application", application),
            application,
            PYTHONPATH=str(CLONE / "benchmarks"),
        )
        start("hub", _asgi(what, "hub", hub_port), hub_port, PYTHONPATH=str(CLONE / "benchmarks"))
        upstream = f"http://127.0.0.1:{application}"
        proxy = [*what.proxy, "--ip", "127.0.0.1", "--port", str(chp), "--api-port", str(chp_api)]
        proxy += ["--default-target", upstream, "--log-level", "error"]
        proxied = start("proxy", proxy, chp)
        stock_pid = start(
            "server-proxy",
            _server_proxy(what, stock),
            stock,
            JUPYTERHUB_SERVICE_PREFIX=PREFIX,
            PYTHONPATH=str(CLONE / "benchmarks"),
        )
        (work / "apps").mkdir()
        (work / "apps/application.toml").write_text(
            f'title = "Application"\nroot = true\nurl = "{upstream}"\n'
        )
        server = start(
            "server",
            [*what.server, "--apps", str(work / "apps")],
            ours,
            **what.server_environment,
            **_told_by_the_hub(ours, hub_port),
        )
        cookie = _sign_in(ours)
        # What a browser has for the one site of all sides, so that all parse the same headers.
        yield {
            DIRECT: Side(DIRECT, application, direct, "/", cookie),
            OURS: Side(OURS, ours, server, PREFIX, cookie),
            CHP: Side(CHP, chp, proxied, "/", cookie),
            SERVER_PROXY: Side(SERVER_PROXY, stock, stock_pid, PREFIX, cookie),
        }


def _asgi(what: Programs, module: str, port: int | str) -> list[str]:
    return [
        str(what.environment / "bin/python"), "-B", "-m", "uvicorn",
        f"gateway.{module}:application", "--port", str(port),
        "--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "error",
    ]  # fmt: skip


def _server_proxy(what: Programs, port: int) -> list[str]:
    """Authentication off, which favours it; its own copy of the application, as it insists on."""
    return [
        str(what.environment / "bin/jupyter"), "standaloneproxy", "--no-authentication",
        "--address=127.0.0.1", f"--port={port}", "--log-level=ERROR",
        "--", *_asgi(what, "application", "{port}"),
    ]  # fmt: skip


def _told_by_the_hub(port: int, hub_port: int) -> dict[str, str]:
    api = f"http://127.0.0.1:{hub_port}/hub/api"
    return {
        "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/{hub.USER}/activity",
        "JUPYTERHUB_API_TOKEN": hub.SERVER_TOKEN,
        "JUPYTERHUB_API_URL": api,
        "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{hub.USER}",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": f'["{hub.SCOPE}"]',
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}{PREFIX}",
        "JUPYTERHUB_USER": hub.USER,
    }


def _sign_in(port: int) -> str:
    """The Cookie header of a browser that has gone through the whole of the sign-in."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT)
    with contextlib.closing(connection):
        location, cookies = _visit(connection, PREFIX, [SESSION_ID])
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
        raise BenchmarkError(f"Signing in was answered with status {answer.status}.")
    lines = answer.headers.get_all("Set-Cookie", [])
    kept = [line.partition(";")[0] for line in lines if "Max-Age=0" not in line]
    return answer.headers["Location"], kept


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    said = log.read_text(errors="replace").strip()[-500:]
    raise BenchmarkError(f"{log.stem} did not start: {said or 'it said nothing'}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
