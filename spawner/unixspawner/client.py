"""Asks the privileged programs through sudo; runs in the hub, without any right of its own.

Nothing that comes back is trusted: after sudo, the other side runs as the person and may have
been tampered with. What we believe is one parsed, bounded message.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, TypeVar

from unixspawner_mediator import protocol
from unixspawner_mediator.limits import PROFILE_VARIABLE
from unixspawner_mediator.protocol import (
    Authenticated,
    AuthenticateRequest,
    Examined,
    ExamineRequest,
    Faulted,
    ProtocolError,
    Refused,
    Reply,
    Request,
    Starting,
    StartRequest,
    Stopped,
    StopRequest,
)
from unixspawner_mediator.sentences import PASSWORDS_UNAVAILABLE

from . import sudo_words
from .errors import AskError as AskError
from .waiting import readable, reap_later

SUDO_OUTPUT = 4096  # octets of standard error that we keep
PATIENCE = 60.0  # seconds for a reply: a name service or a home that hangs must not hang the hub
SILENCES = 2  # sudos without a word that are followed by another one
_Answer = TypeVar("_Answer")


class Launch(NamedTuple):
    """A server whose program runs, and the sudo that waits for it to close the PAM session."""

    report: Starting
    sudo: subprocess.Popen[bytes]


async def request_start(
    sudo_command: list[str], request: StartRequest, listener: socket.socket, profile: str = ""
) -> Launch:
    """Start a server on `listener` and wait until its program runs.

    `profile` is read where PAM opens the session, before there is a mediator to read a request.

    Cancelling gives up: a mediator that comes later finds its status pipe closed and ends.

    Raises:
        AskError: refused by sudo or the mediator, or failed.
    """

    async def start() -> Launch:
        sudo = _sudo(sudo_command, profile)
        with _status_pipe() as (status, writer), sudo as (process, channel, output):
            with channel, writer:
                _send(channel, request, [listener.fileno(), writer.fileno()])
            return Launch(await _started(status, output), process)

    return await _until_it_speaks(start)


async def request_stop(sudo_command: list[str], request: StopRequest) -> Stopped:
    """End a server's processes.

    Raises:
        AskError: refused or failed; the server may still be running.
    """
    reply = await _ask(sudo_command, request)
    if not isinstance(reply, Stopped):
        raise _unexpected(repr(reply))
    return reply


async def request_examine(sudo_command: list[str], request: ExamineRequest) -> Examined:
    """Ask which of these people may not go on.

    Raises:
        AskError: that could not be asked.
    """
    reply = await _ask_authenticate(sudo_command, request)
    if not isinstance(reply, Examined) or reply.verdicts.keys() != set(request.users):
        raise _unexpected(type(reply).__name__)
    return reply


async def request_authenticate(sudo_command: list[str], request: AuthenticateRequest) -> None:
    """Have a password checked; returns when it is right.

    Raises:
        AskError: it is not, or could not be checked.
    """
    reply = await _ask_authenticate(sudo_command, request)
    if not isinstance(reply, Authenticated) or reply.user != request.user:
        raise _unexpected(type(reply).__name__)


async def _ask_authenticate(sudo_command: list[str], request: Request) -> Reply:
    """As `_ask`; whom sudo does not know is here the account that checks, and not the person."""
    try:
        return await _ask(sudo_command, request)
    except AskError as error:
        if error.code != "no-account":
            raise
        raise AskError(*PASSWORDS_UNAVAILABLE, error.detail) from None


async def _ask(sudo_command: list[str], request: Request) -> Reply:
    """One request and one reply over the same channel."""

    async def ask() -> Reply:
        with _sudo(sudo_command) as (process, channel, output), channel:
            _send(channel, request)
            try:
                async with asyncio.timeout(PATIENCE):
                    data = await _read_datagram(channel)
                    await _exited(process)
            except TimeoutError:
                raise AskError("no-answer", _NO_ANSWER_SENTENCE, f"none in {PATIENCE} s") from None
            return _understand(data, output)

    return await _until_it_speaks(ask)


async def _until_it_speaks(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """The answer of `ask`, which is asked again where sudo ends without a word: nothing runs then.

    sudo-rs 0.2.5 loses the reason one time in thirty when it cannot run what it is to run: the
    end of its child may come before the child's report, and then it reads no more.
    """
    for _ in range(SILENCES):
        try:
            return await ask()
        except AskError as error:
            if error.code != sudo_words.SILENT[0]:
                raise
    return await ask()


def _send(channel: socket.socket, request: Request, descriptors: Sequence[int] = ()) -> None:
    """To whom it may concern: a sudo that refuses may have ended by now, and has said why."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        socket.send_fds(channel, [protocol.encode(request)], descriptors)


async def _read_datagram(channel: socket.socket) -> bytes:
    channel.setblocking(False)
    with contextlib.suppress(ConnectionResetError):  # it ended without reading the request
        return await asyncio.get_running_loop().sock_recv(channel, protocol.MAX_REPLY + 1)
    return b""


@contextlib.contextmanager
def _status_pipe() -> Iterator[tuple[int, BinaryIO]]:
    reader, writer = os.pipe()
    try:
        with open(writer, "wb") as file:
            yield reader, file
    finally:
        os.close(reader)


@contextlib.contextmanager
def _sudo(
    command: list[str], profile: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket, int]]:
    """Run sudo with one end of a channel as its input and a bounded file as its error output."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    output = _bounded_file()
    try:
        with theirs:
            process = _popen(command, theirs.fileno(), output, profile)
        try:
            yield process, ours, output
        except BaseException:
            reap_later(process)
            raise
    finally:
        ours.close()
        os.close(output)


def _popen(
    command: list[str], stdin: int, stderr: int, profile: str = ""
) -> subprocess.Popen[bytes]:
    chosen = {PROFILE_VARIABLE: profile} if profile else {}
    try:
        return subprocess.Popen(
            _with_usual_limit(command),
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"} | chosen,
            cwd="/",
            umask=0o022,  # as where sshd starts: PAM goes on from there
        )
    except (FileNotFoundError, PermissionError) as error:
        raise AskError(*sudo_words.MISSING, f"{command[0]}: {error.strerror}") from None
    except OSError as error:
        raise AskError("exhausted", _EXHAUSTED_SENTENCE, f"{command[0]}: {error}") from None


def _with_usual_limit(command: list[str]) -> list[str]:
    """As config/libexec/hub found it: a session would inherit the soft limit raised for the hub."""
    files = os.environ.get("UNIXSPAWNER_OPEN_FILES")
    return ["/usr/bin/prlimit", f"--nofile={files}:", "--", *command] if files else command


def _bounded_file() -> int:
    """A file in memory that cannot grow, for what sudo has to say.

    No pipe: sudo outlives the hub, and would die of a broken one before it closes the session.
    """
    descriptor = os.memfd_create("sudo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, SUDO_OUTPUT)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return descriptor


def _said(output: int) -> str:
    text = os.pread(output, SUDO_OUTPUT, 0).rstrip(b"\0").decode("utf-8", "replace")
    return protocol.printable(" / ".join(text.split("\n")).strip(" /"), 900)


async def _started(status: int, output: int) -> Starting:
    data = await _read_to_end(status)
    lines = data.splitlines()
    last = _understand(lines[-1] if lines else b"", output)
    if not isinstance(last, Starting):
        raise _unexpected(repr(last))
    return last


async def _read_to_end(descriptor: int) -> bytes:
    """Everything that comes over the status pipe, which is bounded."""
    os.set_blocking(descriptor, False)
    data = b""
    while len(data) <= protocol.MAX_REPLY:
        await readable(descriptor)
        piece = os.read(descriptor, protocol.MAX_REPLY + 1)
        if not piece:
            break
        data += piece
    return data


async def _exited(process: subprocess.Popen[bytes]) -> None:
    handle = os.pidfd_open(process.pid)
    try:
        await readable(handle)
    finally:
        os.close(handle)
    process.wait()


def _understand(data: bytes, output: int) -> Reply:
    """The reply in `data`, or the reason why there is none.

    Raises:
        AskError: always, unless the reply is one that grants the request.
    """
    if not data:
        # Only sudo itself ends without a word of ours.
        raise sudo_words.explain(_said(output))
    try:
        reply = protocol.decode_reply(data.rstrip(b"\n"))
    except ProtocolError as error:
        raise _unexpected(str(error)) from None
    if isinstance(reply, Refused):
        raise AskError(reply.code, reply.message, _said(output))
    if isinstance(reply, Faulted):
        raise AskError("internal-error", _FAULT_SENTENCE, _said(output))
    return reply


_NO_ANSWER_SENTENCE = (
    "This machine takes too long to answer (its name service or a file server may hang): "
    "try again later or ask your administrator."
)
_EXHAUSTED_SENTENCE = (
    "This machine has no room for one more process now: try again later, "
    "and tell your administrator if it stays."
)
_FAULT_SENTENCE = (
    "Internal error: try again, and if it stays, ask your administrator to look at the log."
)


def _unexpected(detail: str) -> AskError:
    text = protocol.printable(detail, 200)
    return AskError("bad-reply", _FAULT_SENTENCE, f"unexpected reply: {text}")
