"""Addresses of the hub at which we take part: to mark a session, for the audit stream, and to say
why a start failed.

Runs in the hub. Each is JupyterHub's own handler, which does what it always does; ours notes who
asked, or waits until there is an answer. The authenticator registers them, so that they come before
JupyterHub's.
"""

import asyncio
import os
import socket
import struct
from typing import Any

from jupyterhub.apihandlers.auth import OAuthAuthorizeHandler
from jupyterhub.apihandlers.users import (
    SelfAPIHandler,
    SpawnProgressAPIHandler,
    UserAPIHandler,
    UserServerAPIHandler,
    UserTokenListAPIHandler,
)
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.handlers.pages import SpawnPendingHandler
from jupyterhub.scopes import needs_scope
from tornado.web import HTTPError, authenticated

from . import audit, people
from .events import asker


class SignIn(LoginHandler):
    """The sign-in page: a new session belongs to the account that has just signed in."""

    async def auth_to_user(self, authenticated: Any, user: Any = None) -> Any:
        before = self.find_user(authenticated["name"])
        was_admin = before is not None and before.admin
        signed_in = await super().auth_to_user(authenticated, user)
        people.open_session(self.db, signed_in, authenticated["uid"])
        if signed_in.admin != was_admin:
            record_admin(signed_in.name, signed_in.admin)
        return signed_in


class Authorize(OAuthAuthorizeHandler):
    """Where a browser gets access to a server: noted when it is another person's."""

    def send_oauth_response(self, headers: Any, body: Any, status: int) -> None:
        client = self.oauth_provider.fetch_by_client_id(self.get_argument("client_id"))
        spawner = client.spawner if client is not None else None
        if spawner is not None and "code=" in headers.get("Location", ""):
            may = self.get_scope_filter("access:servers")(spawner, kind="server")
            record_access(self, spawner.user.name, spawner.name, "ok" if may else "refused")
        super().send_oauth_response(headers, body, status)


class WhoAmI(SelfAPIHandler):
    """Where a server asks whose token it was shown: noted when it is another person's.

    Which account's server asks, the kernel says. Tokens of browsers were noted when they were made.
    """

    async def get(self) -> None:
        await super().get()
        token, uid = self.get_token(), peer_uid(self.request.connection.stream.socket)
        is_browsers = token is None or token.user is None or token.client_id != "jupyterhub"
        if is_browsers or uid in (-1, os.getuid()):  # the last one is the proxy
            return
        for user in list(self.users.values()):
            if user.name != token.user.name and uid in _uids(user):
                record_token_use(self, token, user.name)


class Tokens(UserTokenListAPIHandler):
    """Where tokens are made: one for another person is that person's access."""

    async def post(self, user_name: str) -> None:
        await super().post(user_name)
        if self.get_status() == 201:
            record_access(self, user_name, "", "ok", "token-made")


class Servers(UserServerAPIHandler):
    """Start and stop of a server: who asked for the stop is noted."""

    async def post(self, user_name: str, server_name: str = "") -> None:
        """As JupyterHub's, which says 201 too early: after a failed start it looks at the spawner
        of before, and a start that is cleaned up after is no pending start to it.
        """
        await super().post(user_name, server_name)
        if self.get_status() == 201 and self.find_user(user_name).spawners[server_name].pending:
            self.set_status(202)

    async def spawn_single_user(
        self, user: Any, server_name: str = "", *args: Any, **options: Any
    ) -> None:
        """Not failed yet while it is cleaned up after: JupyterHub has no reason to give before."""
        try:
            await super().spawn_single_user(user, server_name, *args, **options)
        except (HTTPError, asyncio.InvalidStateError):  # it asks a future that is not done
            if not user.spawners[server_name].pending:
                raise

    async def stop_single_user(self, user: Any, server_name: str = "") -> Any:
        note_asker(self, user, server_name)
        return await super().stop_single_user(user, server_name)


# Both ask first who may know: JupyterHub's own check comes only after the wait.


class Pending(SpawnPendingHandler):
    """The page that waits for a start."""

    @authenticated
    @needs_scope("servers")
    async def get(self, user_name: str, server_name: str = "") -> None:
        await cleaned_up(self.find_user(user_name), server_name, CLEANING_UP)
        await super().get(user_name, server_name)


class StartEvents(SpawnProgressAPIHandler):
    """What a start says, as it says it."""

    @needs_scope("read:servers")
    async def get(self, user_name: str, server_name: str = "") -> None:
        await cleaned_up(self.find_user(user_name), server_name)
        await super().get(user_name, server_name)


class Users(UserAPIHandler):
    """A person's row: removing it stops the server."""

    async def stop_single_user(self, user: Any, server_name: str = "") -> Any:
        note_asker(self, user, server_name)
        return await super().stop_single_user(user, server_name)


CLEANING_UP = 10.0  # seconds; then the page says that the server is stopping


async def cleaned_up(user: Any, server_name: str, seconds: float | None = None) -> None:
    """The hub stops what failed to start, and can say why it failed only when that is over."""
    spawner = user.spawners.get(server_name) if user is not None else None
    if spawner is not None and spawner.pending == "stop" and spawner._spawn_future is not None:
        await asyncio.wait([spawner._spawn_future], timeout=seconds)


def record_admin(name: str, is_admin: bool) -> None:
    """Rights follow the group: at sign-in, or as soon as the watch sees it."""
    event: audit.Event = "grant" if is_admin else "revoke"
    reason = "joined-admins" if is_admin else "left-admins"
    audit.record(event, who=audit.HUB, whom=name, outcome="ok", reason=reason)


def note_asker(handler: Any, user: Any, server_name: str) -> None:
    """For the audit line of the stop, which the spawner writes."""
    if server_name in user.spawners:
        user.spawners[server_name].stop_is_asked_for(asker(handler))


def record_access(
    handler: Any, whom: str, server: str, outcome: audit.Outcome, reason: str = ""
) -> None:
    """Nothing is written about people who open what is their own."""
    who = asker(handler)
    if who.who != whom:
        name = audit.server_name(whom, server)
        audit.record(
            "access", who=who.who, whom=name, source=who.source, outcome=outcome, reason=reason
        )


_told: dict[tuple[str, str], None] = {}
MAX_TOLD = 1000


def record_token_use(handler: Any, token: Any, whom: str) -> None:
    """Once for each token and person: a server asks again and again. The address is not known."""
    key = (token.hashed, whom)
    if key not in _told:
        if len(_told) >= MAX_TOLD:
            _told.pop(next(iter(_told)))
        _told[key] = None
        audit.record("access", who=asker(handler).who, whom=whom, outcome="ok", reason="token-used")


def peer_uid(connection: socket.socket) -> int:
    """The account at the other end of a Unix socket, see SO_PEERCRED in unix(7); -1 for others."""
    if connection.family != socket.AF_UNIX:
        return -1
    credentials = struct.Struct("iII")  # pid, uid, gid
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return int(credentials.unpack(data)[1])


def _uids(user: Any) -> set[int]:
    return {getattr(spawner, "uid", 0) for spawner in user.spawners.values()} - {0}


ROUTES = [
    (r"/login", SignIn),
    (r"/api/oauth2/authorize", Authorize),
    (r"/api/user", WhoAmI),
    (r"/api/users/([^/]+)/tokens", Tokens),
    (r"/api/users/([^/]+)", Users),
    (r"/api/users/([^/]+)/server", Servers),
    (r"/api/users/([^/]+)/servers/([^/]*)", Servers),
    (r"/api/users/([^/]+)/server/progress", StartEvents),
    (r"/api/users/([^/]+)/servers/([^/]*)/progress", StartEvents),
    (r"/spawn-pending/([^/]+)", Pending),
    (r"/spawn-pending/([^/]+)/([^/]+)", Pending),
]
