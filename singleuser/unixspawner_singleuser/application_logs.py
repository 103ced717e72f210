"""The log of each application: a file beside the server's own, written by the program itself.

Run as the person signed in. Everything here blocks where the home directory does: call it in a
thread. The program writes to the descriptor, and we read from it; no path is looked up again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from .login_shell import NOISE

FOLDER = ".local/state/unixspawner"
TAIL = 64 * 1024  # bytes of a log that are shown
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Log:
    """An open log. Whoever reads it holds the lock, so that nobody closes it under his hands."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lock = threading.Lock()

    def tail(self, size: int = TAIL) -> bytes:
        """The end of it, whole lines where possible."""
        with self._lock, suppress(OSError):
            end = os.fstat(self.descriptor).st_size
            data = os.pread(self.descriptor, size, max(0, end - size))
            return data if end <= size else data.partition(b"\n")[2]
        return b""

    def read_from(self, offset: int, size: int = TAIL) -> bytes:
        with self._lock, suppress(OSError):
            return os.pread(self.descriptor, size, offset)
        return b""

    def close(self) -> None:
        with self._lock:
            descriptor, self.descriptor = self.descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)


def log_path(home: str, server_name: str, name: str) -> str:
    """A name that no two applications of a person's servers share, and no server's log has."""
    return f"{home}/{FOLDER}/application.{_server(server_name)}{name}.log"


def _server(server_name: str) -> str:
    if not server_name:
        return ""
    if _PLAIN.fullmatch(server_name):
        return f"{server_name}."
    return f".{hashlib.sha256(server_name.encode()).hexdigest()[:16]}."


def open_log(path: str, home: str) -> Log:
    """A fresh log, the one before it kept. Raises OSError."""
    os.stat(home)  # a home that is not there is not for us to make
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with suppress(FileNotFoundError):
        os.rename(path, f"{path}.1")
    return _open(path)


def open_spare_log(path: str) -> Log:
    """Beside the sockets, where a home takes none; at worst what is written is lost."""
    try:
        return _open(path)
    except OSError:
        return Log(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))


def last_log(path: str) -> bytes:
    """The end of a log that an earlier server has left; empty when there is none."""
    try:
        log = Log(os.open(path, os.O_RDONLY | _SAFELY))
    except OSError:
        return b""
    try:
        return log.tail()
    finally:
        log.close()


def _open(path: str) -> Log:
    """Raises OSError, also when the first line does not fit on the disk any more."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _SAFELY, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        os.write(descriptor, time.strftime("%Y-%m-%d %H:%M:%S start\n").encode())
    except OSError:
        os.close(descriptor)
        raise
    return Log(descriptor)


def readable_lines(data: bytes) -> Iterator[str]:
    """What a person wants to read of it: no colours, no control characters, no noise."""
    for line in data.decode("utf-8", "replace").splitlines():
        plain = _CONTROLS.sub("", _ESCAPES.sub("", line)).rstrip()
        if plain and not plain.startswith(NOISE):
            yield plain[:1000]
