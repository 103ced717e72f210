"""The authenticator: asks the privileged `authenticate` whether a password is right.

Runs in the hub, which itself never can read a password hash. Who may sign in and who is an
administrator is a matter of two Unix groups and nothing else.
"""

import asyncio
from typing import Any

from jupyterhub.auth import PAMAuthenticator
from tornado.web import HTTPError
from traitlets import Unicode

from unixspawner_mediator.protocol import PASSWORD, USER_NAME, AuthenticateRequest, printable

from . import client, metrics
from .client import AskError
from .membership import is_member
from .quiet import keep_secrets_out_of_the_log

WRONG = (
    "Wrong user name or password. If you are sure of both, your account may be locked: "
    "ask your administrator."
)
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
        keep_secrets_out_of_the_log()
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)
        super().__init__(**kwargs)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str:
        """The name of the account whose password this is.

        Raises:
            tornado.web.HTTPError: 403 with the sentence that the sign-in page shows.
        """
        name, password = data.get("username", ""), data.get("password", "")
        try:
            if not USER_NAME.fullmatch(name) or not PASSWORD.fullmatch(password):
                raise AskError("wrong-password", WRONG, "not a name or password for this machine")
            request = AuthenticateRequest(name, password)
            async with self._checks:
                await client.request_authenticate(self._sudo_command(), request)
        except AskError as error:
            raise self._refused(handler, name, error) from None
        return name

    def check_allowed(self, username: str, authentication: Any = None) -> bool:
        """Members of the users group, whatever else the hub's configuration says."""
        return is_member(username, self.users_group)

    def is_admin(self, handler: Any, authentication: dict[str, Any]) -> bool:
        """Members of the admins group."""
        return is_member(authentication["name"], self.admins_group)

    def check_allow_config(self) -> None:
        """JupyterHub wants to be told who may sign in; here a Unix group says so."""

    def normalize_username(self, username: str) -> str:
        """A name is what the machine says it is: not lower-cased, not mapped to another."""
        return username

    def _sudo_command(self) -> list[str]:
        account, program = self.authenticate_account, self.authenticate_path
        return [self.sudo_path, "-n", "-u", account, program]

    def _refused(self, handler: Any, name: str, error: AskError) -> HTTPError:
        metrics.refused("sign-in", error.code)
        where = handler.request.remote_ip if handler is not None else "-"
        self.log.warning(
            "Sign-in refused for %s from %s: %s: %s (%s)",
            printable(name, LOGGED_NAME),
            where,
            error.code,
            error.message,
            error.detail,
        )
        refusal = HTTPError(403)
        refusal.jupyterhub_message = error.message
        return refusal
