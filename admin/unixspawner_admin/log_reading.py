"""Reads the logs in a person's home directory: as that person, never as root (see as_account).

The person may have put anything there. Neither a link nor a pipe is followed, no more is read than
asked for, and a file server that hangs is a sentence after a few seconds.
"""

import codecs
import os
import pwd
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import ELOOP
from functools import partial

from unixspawner_mediator.paths import server_log, spare_directories, spare_log

from . import as_account, terminal
from .as_account import Emit, TooSlowError
from .errors import AdminError

SECONDS = 10.0
MAX_TAIL = 4 * 2**20  # octets that the last lines may have
_PACE = 0.3  # seconds between two looks at a log that is followed
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def log_path(account: str, server: str, application: str, *, previous: bool) -> str:
    """Where the log is; the names are those of mediator/paths.py and of the gateway."""
    path = server_log(_home(account), server)
    if application:
        folder, _, name = path.rpartition("/")
        middle = name.removeprefix("server").removesuffix("log")
        path = f"{folder}/application{middle}{application}.log"
    return f"{path}.1" if previous else path


def newest_path(account: str, server: str) -> str:
    """The log of the last start: in the home, or where a home that takes none makes it go."""
    home = log_path(account, server, "", previous=False)
    folders = spare_directories(_entry(account).pw_uid)
    spare = [spare_log(folder, server) for folder in folders]
    try:
        return _newest(account, [home, *spare]) or home
    except TooSlowError:
        if found := _newest(account, spare):
            return found
        raise _hangs(account, home) from None


def _newest(account: str, paths: list[str]) -> str:
    return as_account.call(account, partial(_emit_newest, paths=paths), SECONDS).decode()


def _home(account: str) -> str:
    return _entry(account).pw_dir


def _entry(account: str) -> pwd.struct_passwd:
    try:
        entry = pwd.getpwnam(account)
    except KeyError:
        raise AdminError(
            f"There is no account {terminal.one_line(account)} on this machine."
        ) from None
    if entry.pw_uid == 0:
        raise AdminError("root has no server here.")
    return entry


def last_lines(account: str, path: str, count: int) -> Iterator[str]:
    """The last lines, fit for a terminal.

    Raises:
        AdminError: there is nothing to read, and why.
    """
    with _explained(account, path):
        content = as_account.call(
            account, lambda emit: _emit_tail(emit, path, count), SECONDS, MAX_TAIL + 1
        )
    yield from _lines([content])


def follow(account: str, path: str, count: int) -> Iterator[str]:
    """The last lines, and each new one when it is written, without an end."""
    with (
        _explained(account, path),
        as_account.stream(account, lambda emit: _emit_all(emit, path, count), SECONDS) as pieces,
    ):
        yield from _lines(pieces)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Whole lines, so that no sequence of characters is met in halves."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + decode(piece)).split("\n")
        yield from (terminal.harmless(line.removesuffix("\r")) for line in whole)
        if len(rest) > MAX_TAIL:
            yield terminal.harmless(rest)
            rest = ""
    if rest:
        yield terminal.harmless(rest)


# In the child, as the person:


def _emit_newest(emit: Emit, paths: list[str]) -> None:
    newest, found = -1.0, ""
    for path in paths:
        with suppress(OSError):
            status = os.stat(path, follow_symlinks=False)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
            if is_ours and status.st_mtime > newest:
                newest, found = status.st_mtime, path
    emit(found.encode())


def _open(path: str) -> int:
    descriptor = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise AdminError(f"{path} is not a regular file: it is not read.")
    return descriptor


def _emit_tail(emit: Emit, path: str, count: int) -> None:
    descriptor = _open(path)
    emit(_tail(descriptor, os.fstat(descriptor).st_size, count))


def _tail(descriptor: int, size: int, count: int) -> bytes:
    """The last lines before `size`; fewer of them when they would be too long."""
    start = max(0, size - MAX_TAIL)
    content = os.pread(descriptor, size - start, start)
    lines = content.splitlines(keepends=True)
    return b"".join(lines[-count:]) if count else b""


def _emit_all(emit: Emit, path: str, count: int) -> None:
    """Goes on where the log goes on: after it was emptied, and in a new file of that name.

    It ends with whoever reads it, also when that is killed.
    """
    reader = os.getppid()
    descriptor = _open(path)
    place = os.fstat(descriptor).st_size
    emit(_tail(descriptor, place, count))
    while os.getppid() == reader:
        status = os.fstat(descriptor)
        if status.st_size < place:
            place = 0  # emptied, since it had become too long
        while piece := os.pread(descriptor, 65536, place):
            emit(piece)
            place += len(piece)
        newer = _newer(path, status)
        if newer is not None:
            os.close(descriptor)
            descriptor, place = newer, 0
        time.sleep(_PACE)


def _newer(path: str, status: os.stat_result) -> int | None:
    """Another file that has the name now."""
    try:
        found = os.stat(path, follow_symlinks=False)
        is_same = (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)
        return None if is_same else _open(path)
    except (OSError, AdminError):
        return None


# Back as root, with a reason:


@contextmanager
def _explained(account: str, path: str) -> Iterator[None]:
    try:
        yield
    except TooSlowError:
        raise _hangs(account, path) from None
    except FileNotFoundError:
        raise AdminError(f"There is no {path}. {_others(account, path)}") from None
    except OSError as error:
        if error.errno == ELOOP:
            raise AdminError(f"{path} is a symbolic link: it is not followed.") from None
        raise AdminError(f"{account} cannot read {path}: {error.strerror}.") from None


def _hangs(account: str, path: str) -> AdminError:
    return AdminError(
        f"The home directory of {account} does not answer within {SECONDS:g} seconds: look at "
        f"the file server behind {os.path.dirname(path)}."
    )


def _others(account: str, path: str) -> str:
    """What else there is to read."""
    folder = os.path.dirname(path)

    def emit_names(emit: Emit) -> None:
        emit("\n".join(sorted(os.listdir(folder))[:50]).encode("utf-8", "replace"))

    try:
        names = as_account.call(account, emit_names, SECONDS).decode(errors="replace").split("\n")
    except (OSError, AdminError):
        names = []
    logs = [terminal.one_line(name) for name in names if ".log" in name]
    if not logs:
        return f"{account} has no logs: no server was ever started, or the home directory is full."
    return f"There are, in {folder}: {', '.join(logs)}."
