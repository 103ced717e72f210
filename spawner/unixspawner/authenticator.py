"""The authenticator: asks the privileged `authenticate` whether a password is right.

Runs in the hub, which itself never can read a password hash. Who may sign in and who is an
administrator is a matter of two Unix groups and nothing else, at sign-in and ever after.
"""

import asyncio
from typing import Any

from jupyterhub import orm
from jupyterhub.auth import Authenticator, PAMAuthenticator
from tornado.web import HTTPError
from traitlets import Enum, Float, Unicode

from unixspawner_mediator.protocol import PASSWORD, USER_NAME, AuthenticateRequest, printable
from unixspawner_mediator.sentences import WRONG_PASSWORD, cannot_tell

from . import audit, client, handlers, metrics
from .admission import require_admission
from .client import AskError
from .examination import Examination
from .membership import Answer, Belief, Membership
from .quiet import keep_the_log_quiet
from .watch import Watch

LOGGED_NAME = 32  # characters of an unchecked user name that reach the log
CHECKS_AT_ONCE = 20  # processes that strangers can make us start at the same time


class UnixAuthenticator(PAMAuthenticator):
    """Unix accounts, checked by PAM, admitted by group."""

    users_group = Unicode(
        "jupyterhub-users", config=True, help="The Unix group whose members may sign in."
    )
    admins_group = Unicode(
        "jupyterhub-admins",
        config=True,
        help="The Unix group whose members are administrators of the hub.",
    )
    watch_interval = Float(
        3.0,
        min=0.5,
        config=True,
        help="Seconds between two looks whether everybody who is here may still be here.",
    )
    audit_format = Enum(
        ["text", "json"],
        "text",
        config=True,
        help="How the lines of the audit stream look: key=value, or JSON.",
    )
    authenticate_path = Unicode(
        "/usr/local/libexec/unixspawner/authenticate",
        config=True,
        help="The program that checks passwords, exactly as the sudo rule names it.",
    )
    authenticate_account = Unicode(
        "jupyterhub-pam", config=True, help="The account that it runs as, as in the sudo rule."
    )
    sudo_path = Unicode("/usr/bin/sudo", config=True, help="The sudo to use.")

    def __init__(self, **kwargs: Any) -> None:
        keep_the_log_quiet()
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._watch: Watch | None = None
        self._watching: asyncio.Task[None] | None = None
        super().__init__(**kwargs)
        self._membership = Membership(self.users_group, self.admins_group)
        audit.configure(self.audit_format, self.log)

    # What JupyterHub asks of an authenticator ------------------------------------------------

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """Called once, when the hub starts: what it needs to know of the hub it learns here."""
        audit.record("reload", who=audit.HUB, outcome="ok", reason="start")
        examination = Examination(self._sudo_command(), self.log)
        self._watch = Watch(
            app,
            self._membership,
            examination,
            users_group=self.users_group,
            admins_group=self.admins_group,
            interval=self.watch_interval,
        )
        self._watching = asyncio.get_running_loop().create_task(self._watch.run())
        return handlers.ROUTES

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any]:
        """The account whose password this is, by name and number.

        Raises:
            tornado.web.HTTPError: 403 with the sentence that the sign-in page shows.
        """
        name, password = data.get("username", ""), data.get("password", "")
        try:
            if not USER_NAME.fullmatch(name) or not PASSWORD.fullmatch(password):
                raise AskError(*WRONG_PASSWORD, "not a name or password for this machine")
            await self._require_answers(name)
            request = AuthenticateRequest(name, password)
            async with self._checks:
                await client.request_authenticate(self._sudo_command(), request)
            return {"name": name, "uid": await self._require_member(name)}
        except AskError as error:
            raise self._refused(handler, name, error) from None

    def check_allowed(self, username: str, authentication: Any = None) -> bool:
        """`authenticate` has asked, whatever else the hub's configuration says."""
        return bool(authentication and authentication.get("uid"))

    async def is_admin(self, handler: Any, authentication: dict[str, Any]) -> bool | None:
        """Members of the admins group; None changes nothing."""
        name = authentication["name"]
        known = handler.find_user(name) if handler is not None else None
        # only rights that somebody has are worth more than one look
        groups = {self.admins_group} if known is not None and known.admin else set()
        standing = await self._membership.admission(Belief(name, 0, frozenset(groups)))
        answer = standing.groups.get(self.admins_group, Answer.NO)
        return None if answer is Answer.CANNOT_TELL else answer is Answer.YES

    async def run_post_auth_hook(self, handler: Any, auth_model: dict[str, Any]) -> dict[str, Any]:
        """The last step of a sign-in that is granted."""
        model: dict[str, Any] = await super().run_post_auth_hook(handler, auth_model)
        audit.record("sign-in", who=model["name"], source=_source(handler), outcome="ok")
        if self._watch is not None:
            self._watch.has_come_in(model["name"])
        return model

    def check_blocked_users(self, username: str, authentication: Any = None) -> bool:
        """The hub's own list of people who may not; noted like every other refusal."""
        passes = bool(super().check_blocked_users(username, authentication))
        if not passes:
            audit.record("sign-in", who=username, outcome="refused", reason="blocked")
        return passes

    async def add_user(self, user: Any) -> None:
        """Called for somebody new, and at the hub's start for everybody in its database.

        Then nobody is looked up: the watch does that for those who have something to lose.
        """
        if isinstance(user, orm.User):
            Authenticator.add_user(self, user)
        else:
            await super().add_user(user)

    async def system_user_exists(self, user: Any) -> bool:
        """Not being sure is no no."""
        belief = Belief(user.name, 0, frozenset())
        return (await self._membership.admission(belief)).account is not Answer.NO

    def check_allow_config(self) -> None:
        """JupyterHub wants to be told who may sign in; here a Unix group says so."""

    def normalize_username(self, username: str) -> str:
        """A name is what the machine says it is: not lower-cased, not mapped to another."""
        return username

    # How it is done ------------------------------------------------------------------------

    async def _require_answers(self, name: str) -> None:
        """A name service that hangs would keep sudo, and the person, waiting for a minute."""
        if not await self._membership.comes_back(name):
            raise AskError(*cannot_tell(name), "the name service hangs")

    async def _require_member(self, name: str) -> int:
        belief = Belief(name, 0, frozenset({self.users_group}))
        standing = await self._membership.admission(belief)
        require_admission(name, self.users_group, standing)
        return standing.uid

    def _sudo_command(self) -> list[str]:
        account, program = self.authenticate_account, self.authenticate_path
        return [self.sudo_path, "-n", "-u", account, program]

    def _refused(self, handler: Any, name: str, error: AskError) -> HTTPError:
        metrics.refused("sign-in", error.code)
        shown = printable(name, LOGGED_NAME)
        self.log.warning(
            "Sign-in refused for %s from %s: %s: %s (%s)",
            shown,
            _source(handler) or "-",
            error.code,
            error.message,
            error.detail,
        )
        audit.record(
            "sign-in", who=shown, source=_source(handler), outcome="refused", reason=error.code
        )
        refusal = HTTPError(403)
        refusal.jupyterhub_message = error.message
        return refusal


def _source(handler: Any) -> str:
    """The address as the hub knows it: behind a proxy, what the proxy says."""
    return str(handler.request.remote_ip) if handler is not None else ""
