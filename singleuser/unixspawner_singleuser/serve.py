"""Runs uvicorn: on the socket that the hub made, or on the address that it named.

Run as the person signed in. Differs from stock uvicorn in its end: no waiting in steps of a tenth
of a second, endless connections are closed at once, and a signal ends in exit status 0, which the
hub takes for a stop that went well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvloop
from uvicorn.config import Config
from uvicorn.server import Server

from .app import Application
from .errors import ConfigurationError
from .protocol import StrictProtocol

if TYPE_CHECKING:
    from uvicorn.server import ServerState

log = logging.getLogger(__name__)

GRACE = 1.5  # seconds for answers that are under way when the server is told to stop
POLL = 0.005
BACKLOG = 512
KEEP_ALIVE = 75  # seconds; the proxy may keep its connections for a while


class QuickServer(Server):
    def __init__(self, config: Config, application: Application) -> None:
        super().__init__(config)
        self._application = application
        self._stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        self.should_exit = True
        self._stop.set()

    async def main_loop(self) -> None:
        """Sleeps until it is told to stop: an idle server costs nothing."""
        background = asyncio.create_task(self._application.run_in_background())
        background.add_done_callback(_complain)
        await self._stop.wait()
        background.cancel()
        await asyncio.gather(background, return_exceptions=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._application.gateway.refuse_starts()
        self._application.exchanges.close_endless()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if not await self._drained(GRACE):
            self._application.exchanges.close_all()
            await self._drained(GRACE / 5)
        for task in list(self.server_state.tasks):
            task.cancel()
        await self._application.close()

    async def _drained(self, seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        state: ServerState = self.server_state
        while state.connections or state.tasks:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(POLL)
        return True


def _complain(background: asyncio.Task[None]) -> None:
    if not background.cancelled() and background.exception():
        log.error("Activity and sessions are no longer watched.", exc_info=background.exception())


def server(application: Application) -> QuickServer:
    config = Config(
        app=application.asgi,
        http=StrictProtocol,
        ws="none",  # StrictProtocol does that itself
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
    )
    return QuickServer(config, application)


def run(application: Application, listener: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT.

    uvloop costs 3 ms of the start and 2 MiB, and saves a sixth of the time of every request.
    """

    async def serve() -> None:
        await server(application).serve(sockets=[listener])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def inherited_listener(descriptor: int) -> socket.socket:
    """The listening Unix socket that the hub made. Raises ConfigurationError."""
    try:
        listener = socket.socket(fileno=descriptor)
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigurationError(
            f"Descriptor {descriptor} is not a socket ({error.strerror})."
        ) from None
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_STREAM or not listening:
        raise ConfigurationError(f"Descriptor {descriptor} is not a listening Unix stream socket.")
    # What this server starts must not be able to answer in its place.
    listener.set_inheritable(False)
    return listener


def bound_listener(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises ConfigurationError."""
    family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=not host and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host or 'all addresses'} port {port}: {error.strerror}."
        ) from None
