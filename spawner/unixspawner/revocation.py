"""Ends what a person has here: sessions, tokens, routes, servers with all their processes.

Runs in the hub, for people who are no longer to be served; the watch decides that. Each step is of
use without the next: a browser is signed out even when a server cannot be stopped yet.
"""

import asyncio
import contextlib
import logging
from typing import Any

from jupyterhub import orm, roles

from . import audit, handlers, metrics, notice, people
from .client import AskError
from .events import Asker

STOPS_AT_ONCE = 10  # calls of sudo, for the day when a whole group is emptied
OWN_END = 2.5  # seconds for a server that knows that it has to end
GIVE_UP = 15.0  # seconds for a start that is being cancelled to clear up after itself


class Revocation:
    """The hub's application object, and whom we have dealt with."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._log: logging.Logger = app.log
        self._stops = asyncio.Semaphore(STOPS_AT_ONCE)
        self._told: set[str] = set()
        self._under_way: dict[str, asyncio.Task[Any]] = {}

    def begin(self, person: people.Person, reason: str) -> None:
        """Start to end everything; asked again while that is under way, nothing happens."""
        if person.name in self._under_way:
            return
        orm_user = self._app.db.get(orm.User, person.id)
        if orm_user is None:
            return
        user = self._app.users[orm_user]
        visits_others = person.is_admin or bool(orm_user.all_shared_with_me)
        people.end_sessions(self._app.db, orm_user)
        if person.name not in self._told:
            self._told.add(person.name)
            metrics.revoked(reason)
            audit.record("revoke", who=audit.HUB, whom=person.name, outcome="ok", reason=reason)
        task = asyncio.create_task(self._end(user, visits_others))
        self._under_way[person.name] = task
        task.add_done_callback(lambda _done: self._under_way.pop(person.name, None))

    def is_over(self, name: str) -> None:
        """The person may be here, or has nothing any more: the next time is another one."""
        self._told.discard(name)

    @property
    def told(self) -> frozenset[str]:
        return frozenset(self._told)

    async def _end(self, user: Any, visits_others: bool) -> None:
        """Servers are told first, and end by themselves; then sudo ends what is left."""
        try:
            names = [name for name, spawner in user.spawners.items() if spawner.active]
            for name in names:
                user.spawners[name].stop_polling()  # the hub would clear up beside us
            heard = await notice.look_again(self._to_be_told(user, visits_others))
            await asyncio.gather(*(self._end_server(user, name, heard) for name in names))
        except Exception:
            self._log.exception("Could not end everything of %s", user.name)

    async def _end_server(self, user: Any, name: str, heard: set[str]) -> None:
        spawner = user.spawners.get(name)
        if spawner is None or spawner.pending in ("stop", "check"):
            return  # somebody is at it; when that leaves something, the next look finds it
        if spawner.pending == "spawn" and spawner._spawn_future is not None:
            spawner._spawn_future.cancel()
            await asyncio.wait([spawner._spawn_future], timeout=GIVE_UP)
        spawner._stop_pending = True  # from here on it is ours
        spawner.stop_is_asked_for(Asker())
        try:
            # beside each other, since a proxy that is away takes its time to say so
            await asyncio.gather(
                self._remove_route(user, name), self._end_processes(spawner, heard)
            )
            # the hub would forget a server that still runs; the next look tries again
            if user.spawners.get(name) is not spawner:
                return
            if await spawner.poll() is not None:
                await user.stop(name)
            else:
                spawner.start_polling()
        finally:
            spawner._stop_pending = False

    async def _end_processes(self, spawner: Any, heard: set[str]) -> None:
        if spawner.socket_path in heard:
            # of an account without a name it alone may read what carries its mark
            await spawner.wait_for_end(OWN_END)
        async with self._stops:
            with contextlib.suppress(AskError):  # logged, and in the audit line of the stop
                await spawner.end()

    async def _remove_route(self, user: Any, name: str) -> None:
        try:
            await self._app.proxy.delete_user(user, name)
        except Exception as error:  # a proxy that is away must not keep a server alive
            self._log.warning("No route of %s could be removed: %s", user.name, error)

    def change_admin(self, person: people.Person, is_admin: bool) -> None:
        """An administrator's rights, in sessions and tokens that are open too."""
        orm_user = self._app.db.get(orm.User, person.id)
        if orm_user is None:
            return
        orm_user.admin = is_admin
        roles.assign_default_roles(self._app.db, entity=orm_user)
        self._app.db.commit()
        handlers.record_admin(person.name, is_admin)
        if not is_admin:
            task = asyncio.create_task(notice.look_again(self._to_be_told(None, True)))
            self._under_way[f"{person.name} as a visitor"] = task
            task.add_done_callback(
                lambda _done: self._under_way.pop(f"{person.name} as a visitor", None)
            )

    def _to_be_told(self, owner: Any, all_of_them: bool) -> list[tuple[str, str]]:
        """The sockets of the person's own servers, or of everybody's that he may have visited."""
        users = self._app.users.values() if all_of_them else [owner]
        return [
            (spawner.socket_path, spawner.server.base_url)
            for user in users
            for spawner in user.spawners.values()
            if spawner.ready and spawner.socket_path
        ]
