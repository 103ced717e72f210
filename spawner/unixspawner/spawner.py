"""The spawner: starts each person's server as that person, through sudo and the mediator.

Runs in the hub. It holds no right of its own: what it can do is in sudoers.d/unixspawner.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from sudospawner import SudoSpawner
from traitlets import TraitError, Unicode, default, validate

from unixspawner_mediator.protocol import Starting, StartRequest, Stopped, unknown_process

from . import (
    client,
    draining,
    ending,
    failures,
    metrics,
    profiles,
    readiness,
    records,
    sockets,
    tokens,
)
from .admission import require_admission
from .custody import Custody
from .errors import AskError
from .events import Asker, Events
from .failures import for_the_person
from .membership import Belief, Membership
from .process import ServerProcess, boot_id
from .progress import Progress
from .records import Record
from .waiting import reap_later

CLEANING = 15  # seconds of start_timeout that are kept for ending what does not come up


class UnixSpawner(SudoSpawner):
    """Servers on Unix sockets, as real accounts.

    `cmd` and `args` have no effect: root fixes the program in mediator.toml.
    """

    mediator_path = Unicode(
        "/usr/local/libexec/unixspawner/mediator",
        config=True,
        help="The privileged program that becomes the server, exactly as the sudo rule names it.",
    )
    sudo_path = Unicode("/usr/bin/sudo", config=True, help="The sudo to use.")
    sockets_directory = Unicode(
        "/run/unixspawner/servers",
        config=True,
        help="Where the servers' sockets are made. Lower case, and nobody but the hub may enter.",
    )
    users_group = Unicode(
        "jupyterhub-users",
        config=True,
        help="The Unix group whose members are served, as in the sudo rule and mediator.toml.",
    )

    @validate("sockets_directory")
    def _lower_case(self, proposal: Any) -> str:
        directory = str(proposal["value"])
        if directory != directory.lower():
            raise TraitError(f"sockets_directory must be lower case, as URLs are: {directory}")
        return directory

    @default("sudo_args")
    def _default_sudo_args(self) -> list[str]:
        return ["-n", "-H"]

    @default("poll_interval")
    def _default_poll_interval(self) -> int:
        return 5  # seconds; looking at a pidfd costs nothing

    @default("start_timeout")
    def _default_start_timeout(self) -> int:
        return 60 + CLEANING

    @default("options_form")
    def _default_options_form(self) -> Any:
        return profiles.form_for

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        return []  # the hub's own environment is nobody's business

    def __init__(self, **kwargs: Any) -> None:
        # load_state and clear_state are called by the hub before anything else
        self._custody = Custody(self.log)
        self._progress = Progress()
        self._is_starting = False
        self._events = Events(self)
        super().__init__(**kwargs)
        if self.user is not None:  # else somebody looks at settings only
            self.oauth_client_id = tokens.client_id(self.account, self.name)
        metrics.watch(self)

    # What JupyterHub asks of a spawner -----------------------------------------------------

    async def start(self) -> str:
        """Start the server; returns its URL once it has answered.

        What a start that fails or is given up leaves behind is ended by the hub's stop afterwards.
        """
        self._progress, self._is_starting = Progress(), True
        try:
            with metrics.stage("total"):
                url = await self._start_in_time()
        except AskError as error:
            ending.log_failure(self.log, "start", self.account, self.name, error)
            self._events.not_started(error.code)
            raise for_the_person(error) from None
        except BaseException:  # cancelled at start_timeout, or a fault
            self._events.not_started("given-up")
            raise
        else:
            self._events.started()
            return url
        finally:
            self._is_starting = False
            self._progress.finish()

    async def stop(self, now: bool = False) -> None:
        """End the server's whole process tree, also of people who have left the group."""
        try:
            await self.end()
        except AskError as error:
            raise for_the_person(error) from None

    async def end(self) -> None:
        """The same, for ourselves.

        Raises:
            AskError: some of it may still run.
        """
        try:
            await self._end()
            self._events.stopped("")
        except AskError as error:
            self._events.stopped(error.code)
            raise
        finally:
            self._revoke_token()

    async def wait_for_end(self, seconds: float) -> None:
        """Until the server's process has ended by itself, but not longer."""
        await self._custody.wait_for_end(seconds)

    def run_post_stop_hook(self) -> Any:
        """Called by the hub when a server is over, however it came to that."""
        self._events.over()
        return super().run_post_stop_hook()

    async def poll(self) -> int | None:
        """None while the server runs, its exit status afterwards.

        Nothing outlives its server: what one that died has left behind, or a start that was given
        up, is ended here, because the hub stops only what runs.
        """
        status = self._custody.poll()
        if status is not None and self._custody.record is not None and not self._is_starting:
            with contextlib.suppress(AskError):  # logged, and tried again later
                await self._end()
            self._revoke_token()
        return status

    async def progress(self) -> AsyncIterator[dict[str, object]]:
        """What has happened so far and what happens next, as it happens."""
        async for percent, message in self._progress.events():
            yield {"progress": percent, "message": message}

    def get_state(self) -> dict[str, Any]:
        """What it takes to find the server again after the hub was restarted."""
        state: dict[str, Any] = super().get_state()
        state.pop("pid", None)  # a pid alone identifies nothing
        if self._custody.record is not None:
            state["unixspawner"] = self._custody.record.state()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Adopt the server that a former hub started, if it still runs."""
        super().load_state(state)
        saved = state.get("unixspawner")
        if not saved:
            return
        try:
            record = records.from_state(self.account, self.name, saved)
        except KeyError as missing:  # written by another release
            self.log.error("%s is not adopted: its state has no %s", self._log_name, missing)
            return
        self._custody.adopt(record)
        if self._custody.process is None:
            self.log.info("The server %s has ended meanwhile", self._log_name)
            self._revoke_token()
        else:
            self.log.info("Adopted %s, process %i", self._log_name, record.process.pid)
        self._events.adopted(runs=self._custody.process is not None)

    def clear_state(self) -> None:
        """Forget the server, its handle and its socket; called by the hub after a stop."""
        super().clear_state()
        self._custody.let_go()

    @property
    def server(self) -> Any:
        """JupyterHub's record of where the server is, which cannot store a socket's path."""
        server = super().server
        record = self._custody.record
        if server is not None and record is not None and not server.connect_url:
            server.connect_url = sockets.url(record.socket)
        return server

    @server.setter
    def server(self, server: Any) -> None:
        SudoSpawner.server.fset(self, server)

    def get_env(self) -> dict[str, str]:
        """The variables for the server; the mediator adds the account's own and filters these."""
        env: dict[str, str] = super().get_env()
        env.pop("JPY_API_TOKEN", None)  # an old name for what is there already
        prefix = env.get("JUPYTERHUB_SERVICE_PREFIX", "/")
        if self._custody.record is not None:
            env["JUPYTERHUB_SERVICE_URL"] = sockets.url(self._custody.record.socket) + prefix
        return env

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """HOME, USER and SHELL are the mediator's to say."""
        return env

    @property
    def account(self) -> str:
        """The Unix account of the person: JupyterHub's name is the account's name."""
        return str(self.user.name)

    def stop_is_asked_for(self, by: Asker) -> None:
        """Who wants the stop that comes next, for the audit stream."""
        self._events.asked_by = by

    @property
    def is_running(self) -> bool:
        """Whether the server's process runs at this moment."""
        return self._custody.process is not None and self._custody.poll() is None

    @property
    def uid(self) -> int:
        """The number of the account that the server runs as, 0 when none runs."""
        return self._custody.record.uid if self._custody.record is not None else 0

    @property
    def socket_path(self) -> str:
        """Where the server listens, empty when none runs."""
        return self._custody.record.socket if self._custody.record is not None else ""

    # How it is done ------------------------------------------------------------------------

    async def _start_in_time(self) -> str:
        """In our own words when it takes too long, before the hub's timeout says it in its own."""
        seconds = max(self.start_timeout - CLEANING, self.start_timeout / 2)
        try:
            async with asyncio.timeout(seconds):
                return await self._start()
        except TimeoutError:
            if self._custody.process is None:
                raise failures.slow_session(seconds) from None
            raise failures.slow_answer(seconds, (await self._end()).log_tail) from None

    async def _start(self) -> str:
        self._warn_about_ignored_settings()
        draining.require_off()
        uid = await self._require_member()
        profile = await profiles.chosen_for(self)
        path, server_id = sockets.fresh_path(self.sockets_directory), secrets.token_hex(16)
        nobody = unknown_process(boot_id())
        token_hash = tokens.hash_of(self.user.db, self.api_token)
        record = Record(self.account, uid, self.name, server_id, path, token_hash, nobody)
        try:
            self._custody.begin(record)
            listener = sockets.listen(path)
        except OSError as error:
            raise failures.no_socket(error) from None
        self.server.connect_url = sockets.url(path)
        with listener:
            process = await self._launch(record, listener, profile)
        await self._wait_for_answer(path, process)
        return sockets.url(path)

    async def _require_member(self) -> int:
        """The account's number. sudo would refuse as well, but in no words for a person."""
        belief = Belief(self.account, 0, frozenset({self.users_group}))
        standing = await Membership(self.users_group).admission(belief)
        require_admission(self.account, self.users_group, standing)
        return standing.uid

    async def _launch(self, record: Record, listener: Any, profile: str) -> ServerProcess:
        self._progress.add(10, f"Opening a session for {self.account}")
        environment = {name: str(value) for name, value in self.get_env().items()}
        request = StartRequest(self.account, self.name, record.server_id, environment)
        command = self._sudo_command(self.account, "start")
        asked = time.perf_counter()
        try:
            with metrics.stage("session"):
                launch = await client.request_start(command, request, listener, profile)
        except AskError as error:
            if error.code not in failures.UNCERTAIN:
                self._revoke_token()
                self._custody.never_began()
            raise
        taken, pid = 1000 * (time.perf_counter() - asked), launch.report.process.pid
        with contextlib.suppress(OSError):  # the record of before will do
            self._custody.started(launch.report.process, launch.sudo)
        self.log.info(
            "Started %s as %s in %.1f ms, process %i", self._log_name, self.account, taken, pid
        )
        self._warn(launch.report)
        if self._custody.process is None:
            reap_later(launch.sudo)
            raise await self._ended_early()
        self._progress.add(50, f"Started as {self.account}, process {pid}")
        return self._custody.process

    async def _wait_for_answer(self, path: str, process: ServerProcess) -> None:
        self._progress.add(70, "Waiting for the first answer")
        try:
            with metrics.stage("program"):
                await readiness.first_answer(path, f"{self.server.base_url}api", process)
        except readiness.EndedEarlyError:
            raise await self._ended_early() from None
        self._progress.add(90, "The server answers")

    async def _ended_early(self) -> AskError:
        """Its last words, which only the mediator can read for us."""
        return failures.ended_early((await self._end()).log_tail)

    async def _end(self) -> Stopped:
        return await self._custody.end(self.stop_command(self.uid))

    def stop_command(self, uid: int) -> list[str]:
        """What asks the mediator to stop a server of that account.

        By number: the name may be gone when a server has to be stopped.
        """
        return self._sudo_command(f"#{uid}", "stop")

    def _sudo_command(self, account: str, verb: str) -> list[str]:
        return [self.sudo_path, *self.sudo_args, "-u", account, self.mediator_path, verb]

    def _revoke_token(self) -> None:
        """By its hash: the hub forgets the token itself when it restarts or when a stop fails."""
        if not self.will_resume:
            self._custody.revoke_token(self.user.db)

    def _warn(self, report: Starting) -> None:
        if report.ignored_environment:
            text = ", ".join(report.ignored_environment)
            self.log.warning("mediator.toml does not allow the variables %s: not set", text)
        if report.trouble:
            self.log.warning("%s: %s: %s", self._log_name, report.trouble, report.message)
            self._progress.add(40, report.message)

    def _warn_about_ignored_settings(self) -> None:
        if self.args:
            self.log.warning("Spawner.args has no effect: the program is fixed in mediator.toml")
