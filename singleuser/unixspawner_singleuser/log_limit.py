"""Keeps the logs in the home directory bounded while the server runs. Run as the person signed in.

The mediator begins a new log at each start, and keeps the one before. A server may run for months,
so whenever a log has become too long its end goes to `NAME.log.1` and the log is emptied. It is
emptied and not replaced, because programs hold it open: all of them append, so they go on at its
beginning. What is written between the two steps is lost; a line at most, in practice.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

log = logging.getLogger(__name__)

LIMIT = 10 * 2**20  # octets: of a log, and of what is kept of the one before
INTERVAL = 60.0  # seconds
_PIECE = 2**20
_READ = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def keep_logs_short() -> None:
    """Look at the logs now and then, in a thread of its own: a home that hangs must hang nobody."""
    folder = _folder_of_our_log()
    if not folder:
        return
    try:
        threading.Thread(target=_keep, args=(folder,), name="logs", daemon=True).start()
    except RuntimeError as error:  # one thread too many; the server is worth more than its log
        log.error("The logs of this server may become long: %s", error)


def _folder_of_our_log() -> str:
    """Where our own output goes, when that is a log file; applications' logs are beside it."""
    with suppress(OSError):
        if stat.S_ISREG(os.fstat(1).st_mode):
            path = os.readlink("/proc/self/fd/1")
            return os.path.dirname(path) if path.endswith(".log") else ""
    return ""


def _keep(folder: str) -> None:
    pause = threading.Event()
    while not pause.wait(INTERVAL):
        shorten_all(folder)


def shorten_all(folder: str, limit: int = LIMIT) -> None:
    """Shorten each log that is longer than `limit`; what fails now is tried again later."""
    with suppress(OSError):
        for name in sorted(os.listdir(folder)):
            if name.endswith(".log"):
                with suppress(OSError):
                    _shorten(os.path.join(folder, name), limit)


def _shorten(path: str, limit: int) -> None:
    if os.stat(path, follow_symlinks=False).st_size <= limit:
        return
    with _locked(path) as descriptor:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size <= limit:
            return
        try:
            _copy_end(descriptor, f"{path}.1", status.st_size, limit)
        finally:
            os.ftruncate(descriptor, 0)  # above all: also when there is no room for a copy
        log.info("%s had %d octets and was emptied.", os.path.basename(path), status.st_size)


@contextmanager
def _locked(path: str) -> Iterator[int]:
    """Of several servers of one person only one does it.

    Raises:
        OSError: another one has it.
    """
    descriptor = os.open(path, _READ)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def _copy_end(descriptor: int, target: str, size: int, limit: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(target)  # it may be a link, or somebody reads it
    copy = os.open(target, _WRITE, 0o600)
    try:
        place = size - limit
        while place < size and (piece := os.pread(descriptor, _PIECE, place)):
            place += len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(copy, view) :]
    finally:
        os.close(copy)
