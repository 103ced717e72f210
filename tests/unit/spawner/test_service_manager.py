"""What systemd hears from the hub, over a real socket, and how the journal gets its lines."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyterhub.log import CoroutineLogFormatter

from unixspawner import service_manager
from unixspawner.hub import UnixHub
from unixspawner.service_manager import JournalFormatter, keep_saying_so, log_formatter, notify


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        yield listener


def test_it_hears_what_is_said(manager: socket.socket) -> None:
    notify("READY=1", "STATUS=Serving")
    assert manager.recv(100) == b"READY=1\nSTATUS=Serving"


def test_a_socket_without_a_file_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"unixspawner-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        notify("STOPPING=1")
        assert listener.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket", "/dev/null"])
def test_where_nobody_listens_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


async def test_it_hears_again_and_again_that_all_is_well(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    telling = asyncio.create_task(keep_saying_so())
    for _ in range(3):
        assert await asyncio.to_thread(manager.recv, 100) == b"WATCHDOG=1"
    telling.cancel()
    await asyncio.wait([telling])


@pytest.mark.parametrize(("usec", "pid"), [("", ""), ("30000", "1"), ("x", str(os.getpid()))])
async def test_who_was_not_asked_does_not_say_so(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    await asyncio.wait_for(keep_saying_so(), 5)


# The journal


@pytest.mark.parametrize(
    ("level", "priority"),
    [("DEBUG", 7), ("INFO", 6), ("WARNING", 4), ("ERROR", 3), ("CRITICAL", 2)],
)
def test_each_line_has_the_priority_of_its_record(level: str, priority: int) -> None:
    number = logging.getLevelNamesMapping()[level]
    record = logging.LogRecord("hub", number, "hub.py", 1, "one\ntwo", (), None)
    lines = JournalFormatter(fmt="%(message)s", color=False).format(record).splitlines()
    assert [line[:3] for line in lines] == [f"<{priority}>"] * 2
    assert "one" in lines[0]


def test_only_the_stream_of_the_journal_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w") as file:
        status = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert log_formatter(file.fileno()) is JournalFormatter
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        assert log_formatter(file.fileno()) is CoroutineLogFormatter
    monkeypatch.delenv("JOURNAL_STREAM")
    assert log_formatter() is CoroutineLogFormatter
    assert log_formatter(987) is CoroutineLogFormatter  # closed


def test_the_hub_uses_it() -> None:
    assert UnixHub._log_formatter_cls in (CoroutineLogFormatter, JournalFormatter)
    assert service_manager.priority(logging.NOTSET) == 7
