"""The spawner: starts each person's server as that person, through sudo and the mediator.

Runs in the hub. It holds no right of its own: what it can do is in sudoers.d/unixspawner.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

from jupyterhub import orm
from sudospawner import SudoSpawner
from traitlets import TraitError, Unicode, default, validate

from unixspawner_mediator.protocol import (
    ProcessIdentity,
    StartRequest,
    Stopped,
    StopRequest,
    printable,
)

from . import client, draining, metrics, readiness, sockets
from .client import AskError
from .failures import for_the_person
from .membership import is_member
from .process import ServerProcess
from .progress import Progress


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

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        return []  # the hub's own environment is nobody's business

    def __init__(self, **kwargs: Any) -> None:
        # load_state and clear_state are called by the hub before anything else
        self._server_id = ""
        self._socket_path = ""
        self._token_id = 0
        self._identity: ProcessIdentity | None = None
        self._process: ServerProcess | None = None
        self._progress = Progress()
        super().__init__(**kwargs)
        metrics.watch(self)

    # What JupyterHub asks of a spawner -----------------------------------------------------

    async def start(self) -> str:
        """Start the server; returns its URL once it has answered."""
        self._progress = Progress()
        try:
            with metrics.stage("total"):
                return await self._start()
        except AskError as error:
            self._log_failure("start", error)
            await self._clean_up()
            raise for_the_person(error) from None
        except BaseException:  # cancelled at start_timeout, or a fault: nothing may stay behind
            await asyncio.shield(self._clean_up())
            raise
        finally:
            self._progress.finish()

    async def stop(self, now: bool = False) -> None:
        """End the server's whole process tree, also of people who have left the group."""
        try:
            if self._identity is not None:
                await self._request_stop()
                metrics.stopped(well=True)
        except AskError as error:
            metrics.stopped(well=False)
            raise for_the_person(error) from None
        finally:
            self._revoke_token()

    async def poll(self) -> int | None:
        """None while the server runs, its exit status afterwards."""
        if self._process is None:
            return 0
        return self._process.poll()

    async def progress(self) -> AsyncIterator[dict[str, object]]:
        """What has happened so far and what happens next, as it happens."""
        async for percent, message in self._progress.events():
            yield {"progress": percent, "message": message}

    def get_state(self) -> dict[str, Any]:
        """What it takes to find the server again after the hub was restarted."""
        state: dict[str, Any] = super().get_state()
        state.pop("pid", None)  # a pid alone identifies nothing
        if self._identity is not None:
            state["unixspawner"] = {
                "server_id": self._server_id,
                "socket": self._socket_path,
                "token_id": self._token_id,
                **self._identity._asdict(),
            }
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Adopt the server that a former hub started, if it still runs."""
        super().load_state(state)
        saved = state.get("unixspawner")
        if not saved:
            return
        self._server_id, self._socket_path = saved["server_id"], saved["socket"]
        self._token_id = saved["token_id"]
        self._identity = ProcessIdentity(saved["pid"], saved["start_time"], saved["boot_id"])
        self._process = ServerProcess.verify(self._identity, self.account)
        metrics.adopted(runs=self._process is not None)
        if self._process is None:
            self.log.info("The server %s has ended meanwhile", self._log_name)
            self._revoke_token()
        else:
            self.log.info("Adopted %s, process %i", self._log_name, self._identity.pid)

    def clear_state(self) -> None:
        """Forget the server, its handle and its socket; called by the hub after a stop."""
        super().clear_state()
        self._forget_server()
        self._token_id = 0

    @property
    def server(self) -> Any:
        """JupyterHub's record of where the server is, which cannot store a socket's path."""
        server = super().server
        if server is not None and self._socket_path and not server.connect_url:
            server.connect_url = sockets.url(self._socket_path)
        return server

    @server.setter
    def server(self, server: Any) -> None:
        SudoSpawner.server.fset(self, server)

    def get_env(self) -> dict[str, str]:
        """The variables for the server; the mediator adds the account's own and filters these."""
        env: dict[str, str] = super().get_env()
        env.pop("JPY_API_TOKEN", None)  # an old name for what is there already
        prefix = env.get("JUPYTERHUB_SERVICE_PREFIX", "/")
        env["JUPYTERHUB_SERVICE_URL"] = sockets.url(self._socket_path) + prefix
        return env

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """HOME, USER and SHELL are the mediator's to say."""
        return env

    @property
    def is_running(self) -> bool:
        """Whether the server's process runs at this moment."""
        return self._process is not None and self._process.poll() is None

    @property
    def account(self) -> str:
        """The Unix account of the person: JupyterHub's name is the account's name."""
        return str(self.user.name)

    # How it is done ------------------------------------------------------------------------

    async def _start(self) -> str:
        self._warn_about_ignored_settings()
        draining.require_off()
        self._require_member()
        listener, self._socket_path = sockets.listen(self.sockets_directory)
        self._server_id = secrets.token_hex(16)
        self._token_id = self._find_token_id()
        self.server.connect_url = sockets.url(self._socket_path)
        with listener:
            self._process = await self._launch(listener)
        await self._wait_for_answer(self._process)
        return sockets.url(self._socket_path)

    def _require_member(self) -> None:
        """sudo would refuse as well, but in no words for a person."""
        if not is_member(self.account, self.users_group):
            raise AskError(
                "not-a-member",
                f"{self.account} is not a member of the group {self.users_group}: ask your "
                f"administrator to run `usermod -aG {self.users_group} {self.account}`.",
            )

    async def _launch(self, listener: Any) -> ServerProcess:
        self._progress.add(10, f"Opening a session for {self.account}")
        environment = {name: str(value) for name, value in self.get_env().items()}
        request = StartRequest(self.account, self.name, self._server_id, environment)
        asked = time.perf_counter()
        with metrics.stage("session"):
            launch = await client.request_start(self._sudo_command("start"), request, listener)
        taken = 1000 * (time.perf_counter() - asked)
        self._identity = launch.report.process
        pid = self._identity.pid
        self.log.info(
            "Started %s as %s in %.1f ms, process %i", self._log_name, self.account, taken, pid
        )
        self._warn_about_ignored_variables(launch.report.ignored_environment)
        process = ServerProcess.verify(self._identity, self.account, launch.sudo)
        if process is None:
            raise await self._ended_early()
        self._progress.add(50, f"Started as {self.account}, process {pid}")
        return process

    async def _wait_for_answer(self, process: ServerProcess) -> None:
        self._progress.add(70, "Waiting for the first answer")
        try:
            target = f"{self.server.base_url}api"
            with metrics.stage("program"):
                await readiness.first_answer(self._socket_path, target, process)
        except readiness.EndedEarlyError:
            raise await self._ended_early() from None
        self._progress.add(90, "The server answers")

    async def _ended_early(self) -> AskError:
        """Its last words, which only the mediator can read for us."""
        stopped = await self._request_stop()
        lines = [line for line in stopped.log_tail.splitlines() if line.strip()][-5:]
        said = " / ".join(printable(line, 200) for line in lines) or "it wrote no log"
        sentence = "Your server ended while it started"
        return AskError("ended-early", f"{sentence}. Its last lines: {said}")

    async def _clean_up(self) -> None:
        """After a failed start: no process, no socket, no token."""
        if self._identity is not None:
            with contextlib.suppress(AskError):  # logged where it was raised
                await self._request_stop()
        self._forget_server()
        self._revoke_token()

    def _forget_server(self) -> None:
        if self._process is not None:
            self._process.close()
        if self._socket_path:
            sockets.remove(self._socket_path)
        self._process = self._identity = None
        self._server_id = self._socket_path = ""

    async def _request_stop(self) -> Stopped:
        assert self._identity is not None
        request = StopRequest(self.account, self.name, self._server_id, self._identity)
        try:
            return await client.request_stop(self._sudo_command("stop"), request)
        except AskError as error:
            self._log_failure("stop", error)
            raise

    def _sudo_command(self, verb: str) -> list[str]:
        return [self.sudo_path, *self.sudo_args, "-u", self.account, self.mediator_path, verb]

    def _find_token_id(self) -> int:
        """The database's number of our token: the token itself is not kept over a restart."""
        token = orm.APIToken.find(self.user.db, self.api_token) if self.api_token else None
        return token.id if token is not None else 0

    def _revoke_token(self) -> None:
        """By its number: the hub forgets the token itself when it restarts or when a stop fails."""
        if self.will_resume or not self._token_id:
            return
        token = self.user.db.get(orm.APIToken, self._token_id)
        if token is not None:
            self.user.db.delete(token)
            self.user.db.commit()

    def _warn_about_ignored_variables(self, names: list[str]) -> None:
        if names:
            text = ", ".join(names)
            self.log.warning("mediator.toml does not allow the variables %s: not set", text)

    def _warn_about_ignored_settings(self) -> None:
        if self.args:
            self.log.warning("Spawner.args has no effect: the program is fixed in mediator.toml")

    def _log_failure(self, verb: Literal["start", "stop"], error: AskError) -> None:
        metrics.refused(verb, error.code)
        self.log.error(
            "Could not %s %s's server: %s: %s (%s)",
            verb,
            self._log_name,
            error.code,
            error.message,
            error.detail,
        )
