"""Reads apps.d, one TOML file for each application, and notices when something there has changed.

Run as the person signed in, on files that only root may have written. A file with a mistake is
reported with its line and left out; the others keep working.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from collections.abc import Callable

from .catalogue import Application, Catalogue, Refusal
from .errors import InvalidApplicationError

log = logging.getLogger(__name__)

MAX_SIZE = 64 * 1024
MAX_FILES = 200
LOOK_EVERY = 2.0  # seconds
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$")

Trusted = frozenset[int]  # the accounts that may own a file
ROOT_ALONE: Trusted = frozenset({0})
Glimpse = tuple[tuple[object, ...], ...]


def load(directory: str, trusted: Trusted = ROOT_ALONE, *, quiet: bool = False) -> Catalogue:
    """Reads every *.toml file of a directory in the order of their names, and logs refusals."""
    applications: list[Application] = []
    refusals: list[Refusal] = []
    root = ""
    for path in _files(directory, refusals):
        try:
            application = read(path, trusted, root)
        except InvalidApplicationError as error:
            refusals.append(Refusal(path, error.line, str(error)))
        else:
            applications.append(application)
            root = path if application.root else root
    for refusal in () if quiet else refusals:
        log.error("%s. It is left out.", refusal)
    return Catalogue(tuple(applications), tuple(refusals))


class Shelf:
    """The catalogue of a directory, read again when a file there is not what it was."""

    def __init__(
        self,
        directory: str,
        trusted: Trusted = ROOT_ALONE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._trusted = trusted
        self._clock = clock
        self._looked = clock()
        self._seen = _glimpse(directory)
        self._catalogue = load(directory, trusted)

    def current(self) -> Catalogue:
        """Looks at most every other second, and only when somebody asks."""
        now = self._clock()
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            # Before reading: what changes meanwhile is noticed the next time.
            seen = _glimpse(self._directory)
            if seen != self._seen:
                self._seen = seen
                self._catalogue = load(self._directory, self._trusted)
                log.info("The applications in %s were read again.", self._directory)
        return self._catalogue


def read(path: str, trusted: Trusted = ROOT_ALONE, root: str = "") -> Application:
    """One file, beside that of the root application. Raises InvalidApplicationError."""
    import tomllib

    from .catalogue_keys import parse
    from .catalogue_lines import line_of

    text = _text(path, trusted)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error)
        found = _TOML_LINE.search(reason)
        line = int(found[1]) if found else _last_line(text)
        plain = _TOML_LINE.sub("", reason).removesuffix(" (at end of document)")
        raise InvalidApplicationError(f"it is not valid TOML ({plain})", line) from None
    name = os.path.basename(path).removesuffix(".toml")
    try:
        application = parse(name, table, os.path.dirname(path))
        if application.root and root:
            raise InvalidApplicationError(f"{root} has root = true already", key="root")
        return application
    except InvalidApplicationError as error:
        error.line = line_of(text, error.key) if error.key else error.line
        raise


def _files(directory: str, refusals: list[Refusal]) -> list[str]:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    except OSError as error:
        refusals.append(Refusal(directory, 0, f"it cannot be read ({error.strerror})"))
        return []
    paths = [os.path.join(directory, name) for name in names if _is_one(name)]
    refusals.extend(
        Refusal(path, 0, f"there are more than {MAX_FILES} files") for path in paths[MAX_FILES:]
    )
    return paths[:MAX_FILES]


def _is_one(name: str) -> bool:
    """Editors keep files of their own, with a dot in front, beside the one that is edited."""
    return name.endswith(".toml") and not name.startswith(".")


def _glimpse(directory: str) -> Glimpse:
    """What changes when a file is written, replaced, removed, or given to somebody else."""
    try:
        with os.scandir(directory) as entries:
            return tuple(sorted(_look(entry) for entry in entries if _is_one(entry.name)))
    except OSError as error:
        return ((error.errno,),)


def _look(entry: os.DirEntry[str]) -> tuple[object, ...]:
    try:
        status = entry.stat()
    except OSError as error:
        return (entry.name, error.errno)
    return (entry.name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _text(path: str, trusted: Trusted) -> str:
    try:
        descriptor = open_trusted(path, trusted)
        with open(descriptor, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise InvalidApplicationError(f"it cannot be read ({error.strerror})") from None
    if len(data) > MAX_SIZE:
        raise InvalidApplicationError(f"it is larger than {MAX_SIZE} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidApplicationError("it is not UTF-8 text", line) from None


def open_trusted(path: str, trusted: Trusted) -> int:
    """A descriptor of a regular file that nobody else could have written.

    Asked of the descriptor, so that what was looked at is what is read; without waiting, so that
    a pipe of that name holds nobody up. Raises InvalidApplicationError and OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _require_trust(os.fstat(descriptor), trusted)
    except InvalidApplicationError:
        os.close(descriptor)
        raise
    return descriptor


def _require_trust(status: os.stat_result, trusted: Trusted) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidApplicationError("it is not a regular file")
    if status.st_uid not in trusted:
        raise InvalidApplicationError("it does not belong to root")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InvalidApplicationError("others than its owner may write it")


def _last_line(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n"))
