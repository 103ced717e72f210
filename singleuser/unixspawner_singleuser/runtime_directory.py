"""The private directory of one server for its applications' sockets.

Run as the person signed in. Made with the first application, below XDG_RUNTIME_DIR where a session
has one, else below /tmp; nobody else may enter it. A lock shows that it is in use: what a server
left behind that was killed is cleared away by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator

STEM = "unixspawner-applications-"
FALLBACK = "/tmp"  # noqa: S108  only for a directory that is made there with mode 0700
# A socket's path must fit into 107 bytes, and its name takes up to 20 of them.
_MAX_BASE = 107 - 20 - len(STEM) - 8


class RuntimeDirectory:
    """Blocks: both ends belong into a thread."""

    def __init__(self, runtime: str) -> None:
        base = runtime if _is_private(runtime) else FALLBACK
        _sweep(base)
        self.path = tempfile.mkdtemp(prefix=STEM, dir=base)
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _is_private(path: str) -> bool:
    if not path.startswith("/") or len(os.fsencode(path)) > _MAX_BASE:
        return False
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.getuid()
        and stat.S_IMODE(status.st_mode) == 0o700
    )


def _sweep(base: str) -> None:
    for path in _ours(base):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _ours(base: str) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(base) as entries:
        named = (entry for entry in entries if entry.name.startswith(STEM))
        for entry in named:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                yield entry.path
