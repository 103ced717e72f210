"""What systemd is told by the hub: ready, still well, ending; and how serious a line of the log is.

Runs in the hub. Nothing happens where nobody listens. See sd_notify(3) and sd-daemon(3).
"""

import asyncio
import contextlib
import logging
import os
import socket

from jupyterhub.log import CoroutineLogFormatter

# Levels of logging, and what the journal calls them, see syslog(3).
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7


def notify(*assignments: str) -> None:
    """Such as READY=1."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    address = "\0" + address[1:] if address[0] == "@" else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.sendto("\n".join(assignments).encode(), address)


async def keep_saying_so() -> None:
    """As long as the hub's loop turns, often enough for WatchdogSec=; returns when nobody asks."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or os.environ.get("WATCHDOG_PID") != str(os.getpid()):
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(microseconds) / 1e6 / 3)


class JournalFormatter(CoroutineLogFormatter):
    """Each line begins with its priority, which the journal takes away again."""

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{priority(record.levelno)}>"
        text: str = super().format(record)
        return "\n".join(mark + line for line in text.splitlines())


def priority(level: int) -> int:
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG)


def log_formatter(descriptor: int = 2) -> type[logging.Formatter]:
    """Of the log on standard error: whether that is the stream that systemd made, or some file."""
    usual: type[logging.Formatter] = CoroutineLogFormatter
    try:
        status = os.fstat(descriptor)
    except OSError:
        return usual
    is_journal = os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
    return JournalFormatter if is_journal else usual
