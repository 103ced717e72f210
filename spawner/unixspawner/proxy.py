"""The proxy: goes on when the hub ends, and is taken over by the next hub. Run in the hub.

Whoever has a WebSocket open does not notice that the hub was killed, restarted, or replaced by a
new release whose proxy is the same. A proxy that was started otherwise than this hub would start
it is ended and started anew, and so is one that has died or does not answer any more.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import stat
import sys
import time
from subprocess import Popen
from typing import Any
from urllib.parse import unquote, urlsplit

from jupyterhub.httpclient import fetch
from jupyterhub.objects import Server
from jupyterhub.proxy import ConfigurableHTTPProxy
from traitlets import Float, Unicode, default

from . import listeners, proxy_process
from .proxy_process import ProxyProcess

ANSWER = 5.0  # seconds for a proxy that runs, ours or one that we might take over
BRIEF = 10.0  # seconds: who lived no longer is not started again at once
LONGEST_PAUSE = 30.0
SMALL = 2**20  # octets of a file that is compared by its content


class ProxyError(Exception):
    """The proxy cannot start; the text is one plain sentence for the administrator."""


class UnixProxy(ConfigurableHTTPProxy):
    """configurable-http-proxy that outlives the hub."""

    token_file = Unicode(
        "/var/lib/unixspawner/proxy-token",
        config=True,
        help="Where the secret between hub and proxy is kept, so that the next hub has it too.",
    )

    start_timeout = Float(
        60.0,
        min=1.0,
        config=True,
        help="Seconds in which a proxy that was started must take connections. With systemd raise "
        "TimeoutStartSec= of the unit with it.",
    )

    look_interval = Float(
        15.0,
        min=1.0,
        config=True,
        help="Seconds between two looks whether the proxy still answers.",
    )

    @default("auth_token")
    def _kept_token(self) -> str:
        return kept_token(self.token_file)

    proxy_process: ProxyProcess | Popen[bytes]  # taken over, or a child of this hub

    def __init__(self, **kwargs: Any) -> None:
        self._watching: asyncio.Task[None] | None = None
        super().__init__(**kwargs)

    async def start(self) -> None:
        """Take over the proxy that runs, or start one. Raises ProxyError or what the hub raises."""
        mark = self._mark()
        taken_over = await self._take_over(mark)
        if taken_over is None:
            self.require_free_port()
            await self._start_anew(mark)
        else:
            self.proxy_process = taken_over
        self._write_pid_file()
        process = taken_over or ProxyProcess.hold(self.proxy_process.pid)
        if process is None:
            raise ProxyError("The proxy ended as soon as it was started: the log has its words.")
        if self._watching not in (None, asyncio.current_task()):
            self._watching.cancel()  # of an attempt whose routes could not be restored
        self._watching = asyncio.create_task(self._keep_running(process))

    def stop(self) -> None:
        """Only where JupyterHub.cleanup_proxy is set: else the service's script ends the proxy."""
        if self._watching is not None:
            self._watching.cancel()
        super().stop()

    async def check_running(self) -> None:
        """`_keep_running` looks; a process that is there may stand still."""

    def _check_previous_process(self) -> None:
        """A number in a file proves nothing; `_take_over` has looked at the processes."""

    def require_free_port(self) -> None:
        """Raises ProxyError when another account's program has the public address."""
        server = Server.from_url(self.public_url)
        uid = listeners.owner_of(server.ip, server.port)
        if uid is not None and uid != os.getuid():
            raise ProxyError(
                f"Port {server.port} on {server.ip} belongs to a program of "
                f"{listeners.name_of(uid)}: end it, or choose another with `./install --port`."
            )

    async def _take_over(self, mark: str) -> ProxyProcess | None:
        """At most one stays, and only one that is as we would start it."""
        chosen, listening = None, proxy_process.listener_of(self._api_socket)
        for process in proxy_process.find(self._api_socket):
            is_current = process.pid == listening and process.mark == mark
            if is_current and await self._answers():
                chosen = process
                self.log.info("Taken over the proxy that runs already, process %i", process.pid)
            else:
                self.log.warning("Ending a proxy that is not as it should be: %i", process.pid)
                await process.end()
                process.close()
        return chosen

    async def _answers(self) -> bool:
        """To our secret, at its interface."""
        headers = {"Authorization": f"token {self.auth_token}"}
        try:
            async with asyncio.timeout(ANSWER):
                await fetch(f"{self.api_url}/api/routes", headers=headers)
        except Exception as error:  # whatever is wrong with it, it will not do
            self.log.warning("The proxy that runs does not answer us: %s", type(error).__name__)
            return False
        return True

    async def _start_anew(self, mark: str) -> None:
        self._remove_process_files()
        os.environ[proxy_process.MARK] = mark  # the hub hands its own environment on
        deadline = time.monotonic() + self.start_timeout
        try:
            await self._start_until(deadline)
        except RuntimeError:  # it has ended
            self.require_free_port()
            raise
        finally:
            del os.environ[proxy_process.MARK]
            if self._check_running_callback is not None:
                self._check_running_callback.stop()

    async def _start_until(self, deadline: float) -> None:
        """JupyterHub itself gives up after ten seconds; a busy machine may need more at boot."""
        try:
            await super().start()
        except TimeoutError:
            while not await self._takes_connections():
                if self.proxy_process.poll() is not None:
                    raise RuntimeError("The proxy ended before it took connections.") from None
                if time.monotonic() > deadline:
                    raise

    async def _takes_connections(self) -> bool:
        try:
            for url in (self.public_url, self.api_url):
                await Server.from_url(url).wait_up(1)
        except TimeoutError:
            return False
        return True

    async def _keep_running(self, process: ProxyProcess) -> None:
        began = time.monotonic()
        try:
            await self._until_ended(process)
        finally:
            process.close()
        self.proxy_process.poll()  # collects a child
        self.log.error("The proxy has ended: it is started again")
        pause = 1.0
        if time.monotonic() - began < BRIEF:
            await asyncio.sleep(pause)
        while not await self._restarted():
            pause = min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _until_ended(self, process: ProxyProcess) -> None:
        """Be it by itself, or by us because it stands still: then everybody waits for nothing."""
        while not await process.ends_within(self.look_interval):
            if not await self._still_answers() and process.poll() is None:
                self.log.error("The proxy does not answer any more: it is ended")
                await process.end()
                return

    async def _still_answers(self) -> bool:
        """One look may fail because the hub itself was held up; connections are cut after two."""
        return await proxy_process.is_awake(self._api_socket, ANSWER) or await self._answers()

    async def _restarted(self) -> bool:
        try:
            await self.start()
            await self.restore_routes()
        except Exception as error:  # tried again: without a proxy nobody is served
            self.log.error("The proxy cannot be started: %s", error)
            return False
        return True

    @property
    def _api_socket(self) -> str:
        return unquote(urlsplit(self.api_url).netloc)

    def _mark(self) -> str:
        """Equal for two proxies that are started in the same way, be it from two releases."""
        settings = [self.public_url, self.api_url, self.hub.url, self.log_level, self.auth_token]
        words = [*self.command, f"{sys.prefix}/package-lock.json", self.ssl_cert, self.ssl_key]
        sha = hashlib.sha256()
        for part in (*settings, str(self.host_routing), *words, *map(_content, words)):
            sha.update(part.replace(sys.prefix, "@").encode() + b"\0")
        return sha.hexdigest()[:32]


def _content(path: str) -> str:
    """What a file holds; the size of a large one, which is Node."""
    if not path.startswith("/") or not os.path.isfile(path):
        return ""
    if os.path.getsize(path) > SMALL:
        return str(os.path.getsize(path))
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def kept_token(path: str) -> str:
    """The secret of before, if it is still a secret, else a new one."""
    try:
        with open(path, encoding="ascii") as file:
            status = os.fstat(file.fileno())
            token = file.read().strip()
        if token and status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077:
            return token
    except (OSError, ValueError):
        pass
    token = secrets.token_hex(32)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}.new")
    descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(token)
    os.replace(f"{path}.new", path)
    return token
