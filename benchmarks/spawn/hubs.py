"""The three hubs, each with its own database, proxy and service token; started and stopped by root.

They differ in what is compared, in nothing else: account, spawner, and the addresses that the
installed configuration wants.
"""

import contextlib
import os
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import figures, system
from .client import Hub
from .errors import BenchmarkError
from .installation import HUB_CONFIG, Installation
from .machine import STOCK_HUB, WORK

_EXEC = re.compile(r"Started \S+ as \S+ in ([0-9.]+) ms, process")
_STARTING, _ENDING = 60, 90  # seconds


@dataclass(frozen=True)
class Side:
    """A running hub and where it logs."""

    name: str
    hub: Hub
    log: Path

    def execs(self, offset: int) -> tuple[float, ...]:
        """Milliseconds from request to exec, as logged after `offset`."""
        with self.log.open("rb") as file:
            file.seek(offset)
            return tuple(float(found) for found in _EXEC.findall(file.read().decode()))

    def logged(self) -> int:
        return self.log.stat().st_size

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])


@dataclass(frozen=True)
class _Plan:
    """What it takes to start one hub."""

    side: str
    account: str
    python: Path
    settings: str
    folder: Path
    port: int
    token: str


@contextlib.contextmanager
def running(installed: Installation, stock: Path) -> Iterator[dict[str, Side]]:
    """All three hubs, up and idle."""
    with contextlib.ExitStack() as stack:
        plans = [_ours(installed), _sudo(installed, stock), _root(installed, stock)]
        yield {plan.side: stack.enter_context(_running(plan)) for plan in plans}


@contextlib.contextmanager
def _running(plan: _Plan) -> Iterator[Side]:
    config, log = _write_files(plan)
    with log.open("ab") as output:
        process = subprocess.Popen(
            _command(plan, config),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=plan.folder,
            env=_environment(plan),
            umask=0o077,
            start_new_session=True,  # Ctrl-C is for us alone: we stop it in our order
        )
    side = Side(plan.side, Hub(plan.port, plan.token), log)
    try:
        _wait_until_up(side, process)
        yield side
    except BenchmarkError as error:
        error.log = error.log or side.last_lines()
        raise
    finally:
        _end(process)


def _command(plan: _Plan, config: Path) -> list[str]:
    # If the benchmark is killed, its hubs end by themselves and end their servers.
    become = ["setpriv", "--reuid", plan.account, "--regid", plan.account, "--init-groups"]
    hub = [str(plan.python), "-I", "-m", "jupyterhub", "-f", str(config)]
    return [*become, "--pdeathsig", "TERM", "--", *hub]


def _environment(plan: _Plan) -> dict[str, str]:
    path = f"{plan.python.parent}:/usr/local/bin:/usr/bin:/bin"
    return {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": str(plan.folder)}


def _write_files(plan: _Plan) -> tuple[Path, Path]:
    account = system.account(plan.account)
    if account is None:
        raise BenchmarkError(f"The account {plan.account} does not exist: run ./install again.")
    config, log = plan.folder.with_suffix(".py"), plan.folder.with_suffix(".log")
    system.write_file(config, plan.settings + _common(plan), 0o640, account.pw_gid)
    system.write_file(log, "", 0o600)
    return config, log


def _wait_until_up(side: Side, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTING
    while not side.hub.is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkError(f"The hub of {side.name} did not start.", side.last_lines())
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()  # stops servers and proxy too
    try:
        process.wait(_ENDING)
    except subprocess.TimeoutExpired:
        left = system.children(process.pid)
        process.kill()
        process.wait()
        for pid in left:
            system.kill(pid)


# What is compared ------------------------------------------------------------------------


def _ours(installed: Installation) -> _Plan:
    """The installed configuration, moved to addresses and files of its own."""
    folder = _folder("ours", installed.hub_account, installed.users_group)
    servers = folder / "servers"
    servers.mkdir(mode=0o700)
    os.chown(servers, folder.stat().st_uid, 0)
    settings = f"""
load_subconfig({str(HUB_CONFIG)!r})
c.JupyterHub.ssl_cert = c.JupyterHub.ssl_key = ""
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = {_unix_url(folder / "hub.sock")!r}
c.ConfigurableHTTPProxy.api_url = {_unix_url(folder / "proxy-api.sock")!r}
c.UnixSpawner.sockets_directory = {str(servers)!r}
"""
    python = Path(installed.python)
    return _plan(figures.OURS, installed.hub_account, python, settings, folder)


def _sudo(installed: Installation, stock: Path) -> _Plan:
    settings = f"""
c.JupyterHub.spawner_class = "sudospawner.SudoSpawner"
c.SudoSpawner.sudospawner_path = {str(stock / "bin/sudospawner")!r}
"""
    return _stock(figures.SUDO, "sudo", STOCK_HUB, installed, stock, settings)


def _root(installed: Installation, stock: Path) -> _Plan:
    settings = f"""
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.Spawner.cmd = [{str(stock / "bin/jupyterhub-singleuser")!r}]
"""
    return _stock(figures.ROOT, "root", "root", installed, stock, settings)


def _stock(
    side: str, folder_name: str, account: str, installed: Installation, stock: Path, settings: str
) -> _Plan:
    """Nobody can sign in; only the service token works."""
    folder = _folder(folder_name, account, account)
    hub, api = _free_port(), _free_port()
    settings += f"""
c.JupyterHub.authenticator_class = "null"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.command = {installed.proxy!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
"""
    return _plan(side, account, stock / "bin/python", settings, folder)


def _common(plan: _Plan) -> str:
    scopes = ["admin:users", "admin:servers", "tokens"]
    return f"""
c.JupyterHub.bind_url = "http://127.0.0.1:{plan.port}/"
c.JupyterHub.db_url = "sqlite:///{plan.folder}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "{plan.folder}/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = "{plan.folder}/proxy.pid"
c.JupyterHub.cleanup_servers = c.JupyterHub.cleanup_proxy = True
c.JupyterHub.log_level = 20
c.Spawner.start_timeout = c.Spawner.http_timeout = 240
c.JupyterHub.services = [{{"name": "benchmark", "api_token": {plan.token!r}}}]
c.JupyterHub.load_roles = [{{"name": "benchmark", "services": ["benchmark"], "scopes": {scopes}}}]
"""


def _plan(side: str, account: str, python: Path, settings: str, folder: Path) -> _Plan:
    return _Plan(side, account, python, settings, folder, _free_port(), secrets.token_hex(32))


def _folder(name: str, account: str, group: str) -> Path:
    """Owned by the hub; `group` may pass through to a socket whose name it knows."""
    folder = WORK / name
    system.run(["install", "-d", "-m", "0710", "-o", account, "-g", group, str(folder)])
    return folder


def _unix_url(path: Path) -> str:
    return "http+unix://" + str(path).replace("/", "%2F")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
