"""The spawner: starts each person's server as that person, through sudo and the mediator.

Runs in the hub. It holds no right of its own: what it can do is in sudoers.d/unixspawner.
"""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator
from typing import Any

from jupyterhub import orm
from jupyterhub.spawner import SpawnException
from sudospawner import SudoSpawner
from traitlets import Unicode, default

from unixspawner_mediator.protocol import (
    ProcessIdentity,
    StartRequest,
    Stopped,
    StopRequest,
    printable,
)

from . import client, readiness, sockets
from .client import AskError
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

    @default("sudo_args")
    def _default_sudo_args(self) -> list[str]:
        return ["-n", "-H"]

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        return []  # the hub's own environment is nobody's business

    def __init__(self, **kwargs: Any) -> None:
        # load_state and clear_state are called by the hub before anything else
        self._server_id = ""
        self._socket_path = ""
        self._token_id = 0
        self._process: ServerProcess | None = None
        self._progress = Progress()
        super().__init__(**kwargs)

    # What JupyterHub asks of a spawner -----------------------------------------------------

    async def start(self) -> str:
        """Start the server; returns its URL once it has answered."""
        self._progress = Progress()
        try:
            return await self._start()
        except AskError as error:
            self._log_failure("start", error)
            await self._clean_up()
            raise _for_the_person(error) from None
        except BaseException:  # cancelled at start_timeout, or a fault: nothing may stay behind
            await asyncio.shield(self._clean_up())
            raise
        finally:
            self._progress.finish()

    async def stop(self, now: bool = False) -> None:
        """End the server's whole process tree, also of people who have left the group."""
        if self._process is not None:
            await self._request_stop()
        self._forget_token()

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
        if self._process is not None:
            state["unixspawner"] = {
                "server_id": self._server_id,
                "socket": self._socket_path,
                "token_id": self._token_id,
                **self._process.identity._asdict(),
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
        identity = ProcessIdentity(saved["pid"], saved["start_time"], saved["boot_id"])
        self._process = ServerProcess.verify(identity, self.account)
        if self._process is None:
            self.log.info("%s's server has ended meanwhile", self._log_name)
        else:
            self.log.info("Adopted %s's server, process %i", self._log_name, identity.pid)

    def clear_state(self) -> None:
        """Forget the server, its handle and its socket."""
        super().clear_state()
        if self._process is not None:
            self._process.close()
            self._process = None
        if self._socket_path:
            sockets.remove(self._socket_path)
        self._server_id = self._socket_path = ""
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
        env["JUPYTERHUB_SERVICE_URL"] = sockets.url(self._socket_path) + self.server.base_url
        return env

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """HOME, USER and SHELL are the mediator's to say."""
        return env

    @property
    def account(self) -> str:
        """The Unix account of the person: JupyterHub's name is the account's name."""
        return str(self.user.name)

    # How it is done ------------------------------------------------------------------------

    async def _start(self) -> str:
        self._warn_about_ignored_settings()
        self._require_member()
        listener, self._socket_path = sockets.listen(self.sockets_directory)
        self._server_id = secrets.token_hex(16)
        self._token_id = self._find_token_id()
        self.server.connect_url = sockets.url(self._socket_path)
        with listener:
            await self._launch(listener)
        await self._wait_for_answer()
        return sockets.url(self._socket_path)

    def _require_member(self) -> None:
        """sudo would refuse as well, but in no words for a person."""
        if not is_member(self.account, self.users_group):
            raise AskError(
                "not-a-member",
                f"{self.account} is not a member of the group {self.users_group}: ask your "
                f"administrator to run `usermod -aG {self.users_group} {self.account}`.",
            )

    async def _launch(self, listener: Any) -> None:
        self._progress.add(10, f"Opening a session for {self.account}")
        environment = {name: str(value) for name, value in self.get_env().items()}
        request = StartRequest(self.account, self.name, self._server_id, environment)
        launch = await client.request_start(self._sudo_command("start"), request, listener)
        if launch.report.ignored_environment:
            names = ", ".join(launch.report.ignored_environment)
            self.log.warning("mediator.toml does not allow the variables %s: not set", names)
        self._adopt(launch.report.process, launch.sudo)

    def _adopt(self, identity: ProcessIdentity, sudo: subprocess.Popen[bytes]) -> None:
        self._process = ServerProcess.verify(identity, self.account, sudo)
        if self._process is None:
            raise AskError("ended-early", "The server ended at once: try again.", repr(identity))
        self._progress.add(50, f"Started as {self.account}, process {identity.pid}")

    async def _wait_for_answer(self) -> None:
        assert self._process is not None
        self._progress.add(70, "Waiting for the first answer")
        try:
            target = f"{self.server.base_url}api"
            await readiness.first_answer(self._socket_path, target, self._process)
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
        """After a failed start: no process, no socket."""
        if self._process is not None and self._process.poll() is None:
            try:
                await self._request_stop()
            except AskError as error:
                self._log_failure("clean-up", error)
        self.clear_state()

    async def _request_stop(self) -> Stopped:
        assert self._process is not None
        request = StopRequest(self.account, self.name, self._server_id, self._process.identity)
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

    def _forget_token(self) -> None:
        """Revoke the token of an adopted server; the hub does so only for those it started."""
        if self.api_token or not self._token_id:
            return
        token = self.user.db.get(orm.APIToken, self._token_id)
        if token is not None:
            self.user.db.delete(token)
            self.user.db.commit()

    def _warn_about_ignored_settings(self) -> None:
        if self.args:
            self.log.warning("Spawner.args has no effect: the program is fixed in mediator.toml")

    def _log_failure(self, verb: str, error: AskError) -> None:
        self.log.error(
            "Could not %s %s's server: %s: %s (%s)",
            verb,
            self._log_name,
            error.code,
            error.message,
            error.detail,
        )


FAULTS = {"internal-error", "bad-reply", "sudo-refused", "sudo-missing", "ended-early"}


def _for_the_person(error: AskError) -> SpawnException:
    """The same sentence on the page, in the hub's API and in the log."""
    status = 500 if error.code in FAULTS else 403
    return SpawnException(error.message, reason=error.code, status_code=status)
