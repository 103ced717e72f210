"""A running server with everything around it, all on Unix sockets in the test's directory."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import (
    ACCESS,
    Browser,
    FakeHub,
    FakeUpstream,
    catalogue,
    listening,
    settings,
)

from unixspawner_singleuser.app import Application, build
from unixspawner_singleuser.catalogue import Catalogue
from unixspawner_singleuser.serve import QuickServer, server
from unixspawner_singleuser.settings import Settings


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short enough for the path of a socket, which tmp_path may not be."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def configured(directory: Path) -> Settings:
    return settings(directory)


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
    applications: Catalogue,
    hub: FakeHub,
    upstream: FakeUpstream,
) -> AsyncIterator[Running]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "server.sock"))
    application = build(configured, lambda: applications)
    quick = server(application)
    task = asyncio.create_task(quick.serve(sockets=[listener]))
    yield Running(application, quick, task)
    quick.stop()
    await task


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
