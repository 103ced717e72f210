"""A running server with everything around it, all on Unix sockets in the test's directory."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import uvloop
from tests.unit.singleuser.fakes import (
    ACCESS,
    Browser,
    FakeHub,
    FakeUpstream,
    catalogue,
    listening,
    settings,
)
from tests.unit.singleuser.raw import eventually

from unixspawner_singleuser.account import Account, OwnAccount, current_account
from unixspawner_singleuser.app import Application, build
from unixspawner_singleuser.catalogue import Catalogue
from unixspawner_singleuser.processes import adopt_orphans
from unixspawner_singleuser.serve import QuickServer, server
from unixspawner_singleuser.settings import Settings

MINE = frozenset({os.getuid()})  # whose files count


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short enough for the path of a socket, which tmp_path may not be."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def home(directory: Path) -> Path:
    """For what runs as the person: not the home of whoever runs the tests."""
    (directory / "home").mkdir()
    return directory / "home"


@pytest.fixture
def account(home: Path) -> Account:
    return replace(current_account(), home=str(home), shell="/bin/bash")


@pytest.fixture
def configured(directory: Path, home: Path) -> Settings:
    return settings(
        directory,
        HOME=str(home),
        PATH="/usr/local/bin:/usr/bin:/bin",
        XDG_RUNTIME_DIR=str(directory),
        UNIXSPAWNER_SERVER_ID="id-of-this-server",
    )


@pytest.fixture
async def hub(directory: Path) -> AsyncIterator[FakeHub]:
    fake = FakeHub()
    async with listening(fake.application(), directory / "hub.sock"):
        yield fake


@pytest.fixture
async def upstream(directory: Path) -> AsyncIterator[FakeUpstream]:
    fake = FakeUpstream()
    async with listening(fake.application(), directory / "app.sock"):
        yield fake


@pytest.fixture
def applications(directory: Path) -> Catalogue:
    return catalogue(directory)


@dataclass
class Running:
    application: Application
    server: QuickServer
    task: asyncio.Task[None]

    async def at_rest(self) -> None:
        """Returns when nothing is going on any more."""
        exchanges, state = self.application.exchanges, self.server.server_state
        await eventually(lambda: not exchanges._open and not state.tasks)

    async def stop(self) -> float:
        """Returns how many seconds it took."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        self.server.stop()
        await self.task
        return loop.time() - begin


@pytest.fixture
async def running(
    directory: Path,
    configured: Settings,
    account: Account,
    applications: Catalogue,
    hub: FakeHub,
    upstream: FakeUpstream,
) -> AsyncIterator[Running]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "server.sock"))
    application = build(configured, lambda: applications, MINE, OwnAccount(account))
    quick = server(application)
    task = asyncio.create_task(quick.serve(sockets=[listener]))
    yield Running(application, quick, task)
    quick.stop()
    await task
    adopt_orphans(False)  # a server does so to its end, which is not that of the tests


@pytest.fixture
async def browser(directory: Path, running: Running, hub: FakeHub) -> AsyncIterator[Browser]:
    fresh = Browser(directory / "server.sock", hub)
    yield fresh
    await fresh.client.close()


@pytest.fixture
async def alice(browser: Browser, hub: FakeHub) -> Browser:
    """The owner's browser, signed in."""
    response = await browser.sign_in(hub.admit("alice", ACCESS))
    assert response.status == 302
    return browser


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}
