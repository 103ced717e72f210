"""One run of an application's command: from its start to its end, as the person.

Run as the person signed in. The event loop never waits here for the person's files: what touches
them is a thread or the child itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from . import processes
from .account import Account
from .application_logs import Log, log_path, open_log, open_spare_log
from .catalogue import Application, Command, Upstream
from .errors import StartFailedError
from .login_shell import command_line
from .memory import MemoryEnds
from .orphans import Orphans
from .patience import in_thread, in_time
from .placeholders import filled
from .readiness import answers

log = logging.getLogger(__name__)

STARTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "starter.py")
FILES_TIMEOUT = 5.0  # seconds for the first touch of the person's files
LOOK_FIRST, LOOK_LATER = 0.02, 0.25  # seconds between two looks whether it answers
LAST_BREATH = 0.5  # seconds from the loss of its socket to its end
# An interactive shell takes no notice of TERM, and has nothing to tidy up.
SHELL_PATIENCE = 0.5
MAX_REPORT = 16 * 1024
TOO_MANY_PROCESSES = (
    "You run as many processes as you may already: end some of them, or ask your administrator."
)
KILLED_BELOW_A_SHELL = 128 + signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every program of this server shares."""

    account: Account
    environment: Mapping[str, str]
    server_name: str
    directory: str  # where sockets are


@dataclass(frozen=True, slots=True)
class Step:
    time: float
    text: str


class Program:
    """Use in this order: `start`, `ended` any number of times, `end`."""

    def __init__(
        self, application: Application, prefix: str, around: Surroundings, orphans: Orphans
    ) -> None:
        if application.command is None:
            raise ValueError("not a command")
        self.application = application
        self.command: Command = application.command
        self.steps: list[Step] = []
        self.log: Log | None = None
        self.pid = 0
        self._around = around
        self._orphans = orphans
        self._prefix = prefix
        self._id = secrets.token_hex(4)
        self._mark = f"{application.name}:{self._id}"
        self._stem = os.path.join(around.directory, self._id)
        self._socket = f"{self._stem}.socket"
        self._handle = -1
        self._report = -1
        self._runs = False  # the shell has stepped aside
        self._complaint = ""  # of the starter
        self._memory = MemoryEnds()
        # The application, at the place where this run of it listens.
        self.placed = replace(application, upstream=Upstream(socket_path=self._socket))
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Returns when it answers. Raises StartFailedError; then `end` is still to be called."""
        shell = self._around.account.shell if self.command.shell != "none" else ""
        self._step("Opening the log")
        await self._open_log()
        self._step(f"Starting your login shell, {shell}" if shell else "Starting the program")
        try:
            with self._orphans.spared() as leaders:
                self.pid = await in_time(self._spawn, FILES_TIMEOUT)
                leaders.add(self.pid)
            self._handle = os.pidfd_open(self.pid)
        except BlockingIOError:
            raise StartFailedError(TOO_MANY_PROCESSES) from None
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or "it takes too long"
            raise StartFailedError(f"{shell or sys.executable} cannot run: {reason}.") from None
        loop = asyncio.get_running_loop()
        loop.add_reader(self._report, self._read_report)
        loop.add_reader(self._handle, self._note_end)
        await self._until_ready()
        self._step("Ready")

    async def end(self, patience: float = processes.PATIENCE) -> None:
        """Ends the whole tree and takes away what the start left."""
        loop = asyncio.get_running_loop()
        if self.pid:
            if not self._runs:
                patience = min(patience, SHELL_PATIENCE)
            if not await in_thread(lambda: processes.end_tree(self._mark, self.pid, patience)):
                log.error("%s does not end.", self.application.name)
            self._reap()
        for descriptor in (self._report, self._handle):
            if descriptor >= 0:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        self._report = self._handle = -1
        for suffix in ("socket", "order", "report"):
            _remove(f"{self._stem}.{suffix}")

    async def close(self) -> None:
        """Lets go of the log, which is read even after the end."""
        if self.log is not None:
            # Closing is a write, on a file server, and is in a thread.
            with contextlib.suppress(TimeoutError, BlockingIOError):
                await in_time(self.log.close, FILES_TIMEOUT)

    async def has_ended(self) -> bool:
        """Asked when it does not answer: its end may be a moment away."""
        await asyncio.wait([self.ended], timeout=LAST_BREATH)
        return self.ended.done()

    def _step(self, text: str) -> None:
        self.steps.append(Step(time.time(), text))

    async def _open_log(self) -> None:
        account = self._around.account
        path = log_path(account.home, self._around.server_name, self.application.name)
        spare = os.path.join(self._around.directory, os.path.basename(path))
        try:
            self.log = await in_time(lambda: open_log(path, account.home), FILES_TIMEOUT)
        except TimeoutError:
            self._step(f"Your home directory {account.home} does not answer, going on without it")
        except OSError as error:
            self._step(f"There is no log in your home directory: {error.strerror}")
        if self.log is None:
            self.log = open_spare_log(spare)

    def _spawn(self) -> int:
        """In a thread: a shell may lie on a file server as well."""
        os.mkfifo(f"{self._stem}.report", 0o600)
        # Open for writing too, so that nobody waits and an end of file never comes.
        self._report = os.open(f"{self._stem}.report", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        _write_private(f"{self._stem}.order", json.dumps(self._order()).encode())
        words = (sys.executable, "-I", "-S", STARTER, f"{self._stem}.order")
        line = command_line(self._around.account.shell, self.command.shell, words)
        if line.note:
            self._step(line.note)
        output = self.log.descriptor if self.log else 2
        return os.posix_spawn(
            line.executable,
            line.words,
            {**self._around.environment, "TERM": "dumb"} | self._marks(),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )

    def _marks(self) -> dict[str, str]:
        """By which a stop finds what belongs here; said again after the dotfiles."""
        marks = {processes.MARKER: self._mark}
        server = self._around.environment.get("UNIXSPAWNER_SERVER_ID")
        return marks | ({"UNIXSPAWNER_SERVER_ID": server} if server else {})

    def _order(self) -> dict[str, object]:
        account = self._around.account
        values = {
            "socket": self._socket,
            "prefix": self._prefix,
            "user": account.name,
            "home": account.home,
            "name": self.application.name,
        }
        directory = filled(self.command.directory, values)
        if directory == "~" or directory.startswith("~/"):
            directory = account.home + directory[1:]
        own = {name: filled(value, values) for name, value in self.command.environment}
        return {
            "report": f"{self._stem}.report",
            "words": [filled(word, values) for word in self.command.words],
            "environment": own | self._marks(),
            "directory": directory,
            "home": account.home,
        }

    # How the start goes on.

    async def _until_ready(self) -> None:
        looking = asyncio.create_task(self._look())
        waits: set[asyncio.Future[object]] = {looking, self.ended}  # type: ignore[arg-type]
        try:
            await asyncio.wait(
                waits,
                timeout=self.command.start_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            looking.cancel()
            await asyncio.wait([looking])
        if self.ended.done():
            raise StartFailedError(self._ended_early())
        if looking.cancelled():
            raise StartFailedError(self._too_slow())

    async def _look(self) -> None:
        pause = LOOK_FIRST
        while not await answers(self._socket, self._prefix if self._keeps_prefix else "/"):
            await asyncio.sleep(pause)
            pause = min(1.2 * pause, LOOK_LATER)

    @property
    def _keeps_prefix(self) -> bool:
        return self.application.keep_prefix

    def _read_report(self) -> None:
        try:
            lines = os.read(self._report, MAX_REPORT).splitlines()
        except BlockingIOError:
            return
        for line in lines:
            said = json.loads(line)
            if "error" in said:
                self._complaint = str(said["error"])
            elif not self._runs:
                self._runs = True
                self._step(f"{self.application.title} runs, waiting until it answers")

    def _note_end(self) -> None:
        """Not reaped yet: its number stays its own until the rest of its tree has ended."""
        asyncio.get_running_loop().remove_reader(self._handle)
        self._read_report()
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            result = os.waitid(os.P_PIDFD, self._handle, flags)
        except ChildProcessError:
            result = None
        if not self.ended.done():
            self.ended.set_result(_in_words(result, self._memory))

    def _reap(self) -> None:
        try:
            os.waitid(os.P_PIDFD, self._handle, os.WEXITED | os.WNOHANG)
        except OSError:
            return
        finally:
            self._orphans.leaders.discard(self.pid)

    def _ended_early(self) -> str:
        title, how = self.application.title, self.ended.result()
        if self._complaint:
            return self._complaint
        if self._runs:
            return f"{title} {how} before it answered."
        if self.command.shell == "none":
            return f"{title} {how} before it began."
        return (
            f"Your login shell {self._around.account.shell} {how} before it came to start"
            f" {title}: look at what your dotfiles do."
        )

    def _too_slow(self) -> str:
        title, seconds = self.application.title, f"{self.command.start_timeout:.0f} seconds"
        if self._runs:
            return f"{title} runs, but did not answer on its socket within {seconds}."
        if self.command.shell == "none":
            return f"{title} did not begin within {seconds}."
        return (
            f"Your login shell {self._around.account.shell} took longer than {seconds} and"
            f" has not started {title}: look at what your dotfiles do."
        )


def _in_words(result: os.waitid_result | None, memory: MemoryEnds) -> str:
    if result is None:
        return "ended"
    if result.si_status in (signal.SIGKILL, KILLED_BELOW_A_SHELL) and memory.count:
        return f"was ended because {memory.reason}"
    if result.si_code == os.CLD_EXITED:
        return f"ended with exit status {result.si_status}"
    try:
        name = signal.Signals(result.si_status).name
    except ValueError:
        name = f"signal {result.si_status}"
    return f"was ended by {name}"


def _write_private(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
