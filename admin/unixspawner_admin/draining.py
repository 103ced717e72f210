"""Draining: for a while no new servers start, and the hub's pages say why. Running ones go on.

The word for it is a file among the hub's state, with the administrator's message as its content.
The hub reads it before each start and for each page, so that nothing is to be restarted; it holds
over restarts of service and machine. Written and read as the hub's account, whose directory it is.
"""

import os
import secrets
import stat
from dataclasses import dataclass
from datetime import datetime

from . import as_account
from .as_account import Emit
from .errors import AdminError
from .options import Options
from .paths import DRAINING, STATE

DEFAULT_MESSAGE = "The administrator is working on this machine: try again later."
MAX_MESSAGE = 500  # characters
_SECONDS = 10.0


@dataclass(frozen=True)
class Draining:
    since: datetime
    message: str


def begin(options: Options, message: str) -> None:
    """No new servers from now on; once more, and only the message changes."""
    text = " ".join(message.split()) or DEFAULT_MESSAGE
    if len(text) > MAX_MESSAGE or not text.isprintable():
        raise AdminError(f"The message must be one line of at most {MAX_MESSAGE} characters.")
    as_account.call(options.hub_account, lambda _emit: _write(text), _SECONDS)


def end(options: Options) -> bool:
    """New servers may start again; False when they could all the time."""
    if read(options) is None:
        return False
    as_account.call(options.hub_account, lambda _emit: os.unlink(DRAINING), _SECONDS)
    return True


def read(options: Options) -> Draining | None:
    """Since when and why no new servers start, or None."""
    try:
        content = as_account.call(options.hub_account, _read, _SECONDS)
    except FileNotFoundError:
        return None
    seconds, _, message = content.decode(errors="replace").partition("\n")
    return Draining(datetime.fromtimestamp(float(seconds)).astimezone(), message[:MAX_MESSAGE])


def _write(text: str) -> None:
    """In one step, so that nobody reads half a message."""
    temporary = f"{STATE}/.draining.{secrets.token_hex(4)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
    os.rename(temporary, DRAINING)


def _read(emit: Emit) -> None:
    descriptor = os.open(DRAINING, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise AdminError(f"{DRAINING} is not a regular file.")
        emit(f"{status.st_mtime}\n".encode() + file.read(4 * MAX_MESSAGE).strip())
