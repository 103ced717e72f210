"""Does something as another account: in a child that gives root up for good and has no way back.

What an account owns is looked at as that account. So no link of a person's leads root to a file of
others, nothing of the hub's is believed by root, and a file server that hangs hangs the child.
"""

import json
import os
import pwd
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from .errors import AdminError

Emit = Callable[[bytes], None]
Work = Callable[[Emit], None]
"""What the child does: it gives what it finds to the function that it is handed."""

_WORKED, _FAILED = b"=", b"!"
_PIECE = 65536


class TooSlowError(AdminError):
    """The child did not come to an end in time; it was killed, and may hang on in the kernel."""


class TooMuchError(AdminError):
    """The child said more than was asked for."""


def call(account: str, work: Work, seconds: float, limit: int = 2**20) -> bytes:
    """Everything that `work` emits, of at most `limit` octets.

    Raises:
        OSError: as in the child.
        AdminError: as in the child, or it took too long or said too much.
    """
    deadline = time.monotonic() + seconds
    with _child(account, work) as reader:
        found = _first(account, reader, deadline)
        while piece := _read(account, reader, deadline):
            found += piece
            if len(found) > limit:
                raise TooMuchError(f"More than {limit} octets came back from {account}.")
    return found


@contextmanager
def stream(account: str, work: Work, seconds: float) -> Iterator[Iterator[bytes]]:
    """What `work` emits, as it comes, without an end; the first of it within so many seconds.

    Raises:
        OSError, AdminError: see `call`.
    """
    with _child(account, work) as reader:
        first = _first(account, reader, time.monotonic() + seconds)
        yield _pieces(first, reader)


@contextmanager
def _child(account: str, work: Work) -> Iterator[int]:
    """The read end of a pipe from a child that works as the account; it is ended afterwards."""
    identity = _identity(account)
    if os.geteuid() not in (0, identity.pw_uid):
        raise AdminError("This must be run by root: try it with sudo.")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _be_the_child(identity, work, writer)
    os.close(writer)
    try:
        yield reader
    finally:
        os.close(reader)
        _end(pid)


def _identity(account: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(account)
    except KeyError:
        raise AdminError(f"There is no account {account} on this machine.") from None


def _first(account: str, reader: int, deadline: float) -> bytes:
    first = _read(account, reader, deadline)
    if first.startswith(_WORKED):
        return first[1:]
    if first.startswith(_FAILED):
        _raise(json.loads(first[1:]))
    raise AdminError(f"What was done as {account} ended without a word: somebody killed it.")


def _read(account: str, reader: int, deadline: float) -> bytes:
    if not select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        raise TooSlowError(f"{account}: no answer in time.")
    return os.read(reader, _PIECE)


def _raise(failure: dict[str, str | int]) -> NoReturn:
    if "errno" in failure:
        raise OSError(failure["errno"], failure["text"])
    raise AdminError(str(failure["text"]))


def _pieces(first: bytes, reader: int) -> Iterator[bytes]:
    piece = first
    yield piece
    while piece := os.read(reader, _PIECE):
        yield piece


def _end(pid: int) -> None:
    """Never waits for what hangs in the kernel: init takes it over from us."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 1
    while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.005)


def _be_the_child(identity: pwd.struct_passwd, work: Work, writer: int) -> NoReturn:
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _let_go_of_the_terminal()
        _become(identity)
        _work(work, writer)
    finally:
        os._exit(0)


def _let_go_of_the_terminal() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _become(identity: pwd.struct_passwd) -> None:
    """Groups first: without root they could not be changed any more."""
    if os.geteuid() == 0:
        os.initgroups(identity.pw_name, identity.pw_gid)
        os.setresgid(identity.pw_gid, identity.pw_gid, identity.pw_gid)
        os.setresuid(identity.pw_uid, identity.pw_uid, identity.pw_uid)
    if os.getresuid() != (identity.pw_uid,) * 3:
        os._exit(1)  # never a step further as anybody else


def _work(work: Work, writer: int) -> None:
    begun = False

    def emit(piece: bytes) -> None:
        nonlocal begun
        _write(writer, piece if begun else _WORKED + piece)
        begun = True

    try:
        work(emit)
        if not begun:
            emit(b"")
    except OSError as error:
        _tell(writer, begun, {"errno": error.errno or 0, "text": error.strerror or str(error)})
    except AdminError as error:
        _tell(writer, begun, {"text": str(error)})
    except Exception as error:  # a fault of ours, without a second traceback
        _tell(writer, begun, {"text": f"Internal error: {error!r}"})


def _tell(writer: int, begun: bool, failure: dict[str, str | int]) -> None:
    if not begun:
        _write(writer, _FAILED + json.dumps(failure).encode())


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
