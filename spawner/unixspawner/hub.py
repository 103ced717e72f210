"""The hub: JupyterHub, which finds what the hub before it has left, and ends idle servers.

Started by the service as the hub's account: `python -m unixspawner`.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from typing import Any
from urllib.parse import unquote, urlsplit

from jupyterhub.app import JupyterHub
from jupyterhub.log import CoroutineLogFormatter
from traitlets import Integer, Unicode

from . import culling, service_manager, tidying
from .proxy import ProxyError, UnixProxy
from .spawner import UnixSpawner

SECONDS = 10  # that a hub waits for the one before it to end
ENDING = 15.0  # seconds that a hub has to end when it is told to


class UnixHub(JupyterHub):
    """Settings of JupyterHub hold here too."""

    idle_timeout = Integer(
        72 * 3600,
        config=True,
        help="End servers that nobody has used for so many seconds; 0 ends none.",
    )
    lock_file = Unicode(
        "/run/unixspawner/hub.lock",
        config=True,
        help="Held by the hub that runs, so that there are never two.",
    )

    # Of the stream that the journal reads, so that `journalctl -p warning` works.
    _log_formatter_cls = service_manager.log_formatter()

    def init_logging(self) -> None:
        """Files of `extra_log_file` are no journal."""
        self.log.debug("The log is set up")  # which was with the formatter above
        self._log_formatter_cls = CoroutineLogFormatter
        super().init_logging()

    def init_db(self) -> None:
        """The first that is written to, and must not be written to by two."""
        self._require_only_one()
        super().init_db()

    async def init_role_creation(self) -> None:
        """With what the idle culler may do, and the culler itself among the services."""
        if self.idle_timeout > 0:
            lag = culling.lag(self.last_activity_interval, self._report_interval())
            self.load_roles.append(culling.ROLE)
            self.services.append(culling.service(self.idle_timeout, lag))
        await super().init_role_creation()

    async def shutdown_cancel_tasks(self, sig: Any = None) -> None:
        """JupyterHub waits without end for tasks that do not end when they are cancelled.

        Seen under a soak: hub and proxy were told to end while starts were pending, and the hub
        was there three minutes later, without its socket. What is left undone, the next hub finds.
        """
        asyncio.get_running_loop().call_later(ENDING, self._stop_event_loop)
        await super().shutdown_cancel_tasks(sig)

    async def init_spawners(self) -> Any:
        """Adopt what runs, and tidy up after what does not."""
        tokens = tidying.tokens_of_servers(self.db)
        found = await super().init_spawners()
        if issubclass(self.spawner_class, UnixSpawner):
            tidying.revoke_forgotten(self.db, tokens, self.log)
            spawner = self.spawner_class(parent=self)
            tidy = tidying.Tidying(
                spawner.sockets_directory,
                spawner.stop_command,
                self.db,
                self.log,
            )
            self._tidying = asyncio.create_task(tidy.keep_tidy())
        return found

    async def start(self) -> None:
        """Not at an address that somebody else has: said in one sentence."""
        try:
            if isinstance(self.proxy, UnixProxy):
                self.proxy.require_free_port()
        except ProxyError as error:
            self.log.critical("%s", error)
            self.exit(1)
        await super().start()
        service_manager.notify("READY=1", f"STATUS=Serving at {self.proxy.public_url}")
        self._well = asyncio.create_task(service_manager.keep_saying_so())

    async def cleanup(self) -> None:
        """Servers and proxy go on."""
        service_manager.notify("STOPPING=1")
        await super().cleanup()
        self._remove_stale_socket()

    def _report_interval(self) -> float:
        """How often servers tell the hub of their activity, in seconds."""
        variables = self.spawner_class(parent=self).environment
        return float(variables.get("JUPYTERHUB_ACTIVITY_INTERVAL", 300))

    def _require_only_one(self) -> None:
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(10 * SECONDS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)
            else:
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())  # for the service's script
                self._remove_stale_socket()
                return
        self.log.critical("Another hub runs already: see `unixspawner status`.")
        self.exit(1)

    def _remove_stale_socket(self) -> None:
        """Of the hub before, so that nobody takes us for answering before we do."""
        address = urlsplit(self.hub_bind_url)
        if address.scheme == "http+unix":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unquote(address.netloc))
