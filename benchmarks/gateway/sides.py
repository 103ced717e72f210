"""The sides that are measured, each made of real programs in front of the same application.

Run by whoever runs the benchmark, with no rights of its own: every side answers on a port of
127.0.0.1, so that one client can drive them all alike.
"""

import contextlib
import json
import os
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import hub
from .errors import BenchmarkError
from .figures import CHP, DIRECT, OURS, SERVER_PROXY, WHOLE_OURS, WHOLE_STOCK
from .processes import Processes, free_ports
from .signin import sign_in

CLONE = Path(__file__).resolve().parent.parent.parent
PREFIX = f"/user/{hub.USER}/"
PROXY_TOKEN = "benchmark-token-of-the-proxy"


@dataclass(frozen=True)
class Side:
    """Where to ask, and the processes whose time and memory count."""

    name: str
    port: int
    pids: tuple[int, ...]
    path: str = "/"
    cookie: str = field(default="none=0", repr=False)


@dataclass(frozen=True)
class Programs:
    """What is run: the interpreters of both environments and the proxy."""

    environment: Path
    server: list[str]
    server_environment: dict[str, str]
    node: str
    preload: str
    proxy: str


def programs(environment: Path, release: Path, source: Path | None) -> Programs:
    """`source` runs our server from a clone, with the interpreter of the release."""
    python = str(release / "bin/python")
    server = [python, "-I", "-m", "unixspawner_singleuser"]
    variables = {}
    if source is not None:
        server.remove("-I")
        variables = {"PYTHONPATH": str(source)}
    return Programs(
        environment,
        server,
        variables,
        node=str(release / "bin/node"),
        preload=str(release / "preload.mjs"),
        proxy=str(release / "node_modules/.bin/configurable-http-proxy"),
    )


@contextlib.contextmanager
def running(what: Programs, work: Path) -> Iterator[dict[str, Side]]:
    with Processes(work) as processes:
        stage = Stage(what, work, processes)
        sides = [
            stage.whole_ours(),
            stage.whole_stock(),
            stage.direct(),
            stage.ours(),
            stage.chp(),
            stage.server_proxy(),
        ]
        yield {side.name: side for side in sides}


class Stage:
    """The application and the stand-in hub, and what is put in front of them."""

    def __init__(self, what: Programs, work: Path, processes: Processes) -> None:
        self._what = what
        self._work = work
        self._processes = processes
        self._port, self._hub_port = free_ports(2)
        self._socket = work / "application.sock"
        self._pid = self._serve("application", "application", "--port", str(self._port))
        self._serve("application-socket", "application", "--uds", str(self._socket))
        self._serve("hub", "hub", "--port", str(self._hub_port))
        processes.wait_for_port(self._port)
        processes.wait_for_port(self._hub_port)
        processes.wait_for_socket(self._socket)

    def whole_ours(self) -> Side:
        """The proxy as the installed service runs it, our server and the application on sockets."""
        apps = self.apps_on_socket()
        place = self._work / "server.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
            listener.listen(512)
            server = self.server("server-socket", apps, listener)
        target = "http+unix://" + str(place).replace("/", "%2F")
        proxy, port = self._proxy("proxy-ours", target, "--import", self._what.preload)
        return Side(WHOLE_OURS, port, (proxy, server), PREFIX, sign_in(port, PREFIX))

    def whole_stock(self) -> Side:
        """The same proxy as it comes, jupyter-server-proxy in jupyterhub-singleuser, and TCP."""
        (port,) = free_ports(1)
        command = [str(self._what.environment / "bin/jupyterhub-singleuser"), "--log-level=ERROR"]
        if os.getuid() == 0:
            command.append("--allow-root")
        stock = {"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp"}
        server = self._processes.start("stock", command, self._told_by_the_hub(port) | stock)
        self._processes.wait_for_port(port)
        proxy, public = self._proxy("proxy-stock", f"http://127.0.0.1:{port}")
        path = f"{PREFIX}proxy/{self._port}/"
        return Side(WHOLE_STOCK, public, (proxy, server), path, sign_in(public, path))

    def direct(self) -> Side:
        return Side(DIRECT, self._port, (self._pid,))

    def ours(self) -> Side:
        (port,) = free_ports(1)
        apps = self._apps("apps", f'url = "http://127.0.0.1:{self._port}"')
        server = self.server("server", apps, port=port)
        self._processes.wait_for_port(port)
        return Side(OURS, port, (server,), PREFIX, sign_in(port, PREFIX))

    def chp(self) -> Side:
        port, api = free_ports(2)
        command = [self._what.node, self._what.proxy, "--ip=127.0.0.1", f"--port={port}"]
        command += [f"--api-port={api}", "--log-level=error"]
        command.append(f"--default-target=http://127.0.0.1:{self._port}")
        proxy = self._processes.start("proxy", command, {})
        self._processes.wait_for_port(port)
        return Side(CHP, port, (proxy,))

    def server_proxy(self) -> Side:
        """Authentication off, which favours it; its own copy of the application, as it insists."""
        (port,) = free_ports(1)
        command = [
            str(self._what.environment / "bin/jupyter"), "standaloneproxy", "--no-authentication",
            "--address=127.0.0.1", f"--port={port}", "--log-level=ERROR",
            "--", *self._asgi("application", "--port", "{port}"),
        ]  # fmt: skip
        clone = {"PYTHONPATH": str(CLONE / "benchmarks"), "JUPYTERHUB_SERVICE_PREFIX": PREFIX}
        proxy = self._processes.start("server-proxy", command, clone)
        self._processes.wait_for_port(port)
        return Side(SERVER_PROXY, port, (proxy,), PREFIX)

    def server(
        self, name: str, apps: Path, listener: socket.socket | None = None, port: int = 0
    ) -> int:
        """Our server, on a listening socket or on a port; it asks the hub who is there."""
        command = [*self._what.server, "--apps", str(apps)]
        if listener is not None:
            command += ["--fd", str(listener.fileno())]
        environment = self._what.server_environment | self._told_by_the_hub(port)
        return self._processes.start(name, command, environment, listener)

    def apps_on_socket(self) -> Path:
        return self._apps("apps-socket", f'socket = "{self._socket}"')

    def _apps(self, name: str, place: str) -> Path:
        apps = self._work / name
        apps.mkdir()
        text = f'title = "Application"\nroot = true\n{place}\n'
        (apps / "application.toml").write_text(text, encoding="utf-8")
        return apps

    def _proxy(self, name: str, target: str, *node_options: str) -> tuple[int, int]:
        """A public proxy with a person's route, made as JupyterHub makes it: (pid, port)."""
        port, api = free_ports(2)
        command = [self._what.node, *node_options, self._what.proxy]
        command += ["--ip=127.0.0.1", f"--port={port}", "--api-ip=127.0.0.1", f"--api-port={api}"]
        command += [f"--error-target=http://127.0.0.1:{self._hub_port}/hub/error"]
        token = {"CONFIGPROXY_AUTH_TOKEN": PROXY_TOKEN}
        proxy = self._processes.start(name, [*command, "--log-level=error"], token)
        self._processes.wait_for_port(port)
        self._processes.wait_for_port(api)
        request = urllib.request.Request(
            f"http://127.0.0.1:{api}/api/routes{PREFIX.rstrip('/')}",
            json.dumps({"target": target, "user": hub.USER, "jupyterhub": True}).encode(),
            {"Authorization": f"token {PROXY_TOKEN}"},
        )
        with urllib.request.urlopen(request) as answer:
            if answer.status != 201:
                raise BenchmarkError(f"The proxy took no route: status {answer.status}.")
        return proxy, port

    def _serve(self, name: str, module: str, *place: str) -> int:
        clone = {"PYTHONPATH": str(CLONE / "benchmarks")}
        return self._processes.start(name, self._asgi(module, *place), clone)

    def _asgi(self, module: str, *place: str) -> list[str]:
        return [
            str(self._what.environment / "bin/python"), "-B", "-m", "uvicorn",
            f"gateway.{module}:application", *place,
            "--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "error",
        ]  # fmt: skip

    def _told_by_the_hub(self, port: int) -> dict[str, str]:
        api = f"http://127.0.0.1:{self._hub_port}/hub/api"
        scopes = f'["{hub.SCOPE}"]'
        return {
            "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/{hub.USER}/activity",
            "JUPYTERHUB_API_TOKEN": hub.SERVER_TOKEN,
            "JUPYTERHUB_API_URL": api,
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{hub.USER}",
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": scopes,
            "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
            "JUPYTERHUB_OAUTH_SCOPES": scopes,
            "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}{PREFIX}",
            "JUPYTERHUB_USER": hub.USER,
        }
