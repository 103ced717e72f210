"""Looks every few seconds whether everybody who is here may still be here. Runs in the hub.

Whoever has left the group, was locked, has expired or is no account any more loses everything at
once; administrators' rights follow their group. A name service that is down changes nothing.
"""

import asyncio
import datetime
import logging
import time
from typing import Any

from unixspawner_mediator.protocol import USER_NAME, Verdict

from . import files, people
from .examination import Examination
from .membership import Answer, Belief, Membership, Standing
from .people import Person
from .revocation import Revocation

TICK = 1.0  # seconds between two looks at the dates of files
VOUCHERS_EVERY = 60.0  # seconds


class Watch:
    """One for the hub, started by the authenticator."""

    def __init__(
        self,
        app: Any,
        membership: Membership,
        examination: Examination,
        *,
        users_group: str,
        admins_group: str,
        interval: float,
    ) -> None:
        self._app = app
        self._log: logging.Logger = app.log
        self._membership = membership
        self._examination = examination
        self._revocation = Revocation(app)
        self._users_group, self._admins_group = users_group, admins_group
        self._interval = interval
        self._signature = files.signature()
        self._vouchers_due = 0.0
        self._unclear: set[str] = set()

    async def run(self) -> None:
        """Ends only by cancellation: one look that fails is not the last."""
        prepared = False
        while True:
            await self._pause()
            try:
                if not prepared:
                    people.end_unmarked_sessions(self._app.db)
                    prepared = True
                await self._look()
            except Exception:
                self._log.exception("Could not look who may still be here; the next look comes")

    def has_come_in(self, name: str) -> None:
        """Whoever is put out after that is put out once more, and it is noted once more."""
        self._revocation.is_over(name)

    async def _pause(self) -> None:
        """Until it is time, or until one of the machine's own files of accounts has changed."""
        end = time.monotonic() + self._interval
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(TICK, left))
            if self._see_changes():
                return

    def _see_changes(self) -> bool:
        before, self._signature = self._signature, files.signature()
        if before != self._signature:
            self._vouchers_due = 0.0
        return before != self._signature

    async def _look(self) -> None:
        present = self._present()
        for name in self._revocation.told - present.keys():
            self._revocation.is_over(name)
        if not present:
            return
        beliefs = [self._belief(person) for person in present.values()]
        standings = await self._membership.standings(beliefs)
        for person in present.values():  # whoever has left need not wait for what PAM says
            if reason := self._why_not(person, standings[person.name], "unknown"):
                self._revocation.begin(person, reason)
        verdicts = await self._verdicts(present, standings)
        for person in present.values():
            try:
                self._act(person, standings[person.name], verdicts.get(person.name, "unknown"))
            except Exception:
                self._log.exception("Could not act on %s", person.name)
        self._tell_of_unclear(standings)
        await self._remember_vouchers(standings)

    def _present(self) -> dict[str, Person]:
        """By name, those with something to lose."""
        active = {user.id for user in self._app.users.values() if user.active}
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)  # as the database has it
        days = self._app.cookie_max_age_days
        found = people.with_something_to_lose(self._app.db, active, now, days)
        return {person.name: person for person in found}

    def _belief(self, person: Person) -> Belief:
        groups = {self._users_group, self._admins_group} if person.is_admin else {self._users_group}
        return Belief(person.name, person.uid, frozenset(groups))

    async def _verdicts(
        self, present: dict[str, Person], standings: dict[str, Standing]
    ) -> dict[str, Verdict]:
        names = {
            name
            for name in present
            if standings[name].account is Answer.YES and USER_NAME.fullmatch(name)
        }
        in_a_directory = not all(self._membership.is_local(name) for name in names)
        if not names:
            return {}
        return await self._examination.verdicts(names, self._signature, in_a_directory)

    def _act(self, person: Person, standing: Standing, verdict: Verdict) -> None:
        reason = self._why_not(person, standing, verdict)
        if reason:
            self._revocation.begin(person, reason)
            return
        self._revocation.is_over(person.name)
        is_admin = standing.groups.get(self._admins_group)
        if is_admin is Answer.YES and not person.is_admin:
            self._revocation.change_admin(person, True)
        elif is_admin is Answer.NO and person.is_admin:
            self._revocation.change_admin(person, False)

    def _why_not(self, person: Person, standing: Standing, verdict: Verdict) -> str:
        """The reason in the audit stream, empty when there is none or none that is certain."""
        if standing.account is Answer.NO:
            return "no-account"
        if standing.account is Answer.YES and standing.uid not in self._uids(person, standing):
            return "uid-changed"
        if standing.groups[self._users_group] is Answer.NO:
            return "left-group"
        return verdict if verdict in ("locked", "expired") else ""

    def _uids(self, person: Person, standing: Standing) -> set[int]:
        """The one number that everything of a person must have; none when it has several."""
        users = self._app.users
        spawners = users[person.id].spawners.values() if person.id in users else ()
        servers = {spawner.uid for spawner in spawners}
        known = {person.uid, *servers} - {0}
        return known or {standing.uid} if len(known) < 2 else set()

    def _tell_of_unclear(self, standings: dict[str, Standing]) -> None:
        """Once, when it begins and when it ends."""
        unclear = {
            name
            for name, standing in standings.items()
            if Answer.CANNOT_TELL in (standing.account, standing.groups[self._users_group])
        }
        if unclear and not self._unclear:
            self._log.warning(
                "Cannot tell whether %i people may still be here, who stay for now: no answer from"
                " the name service (%s)",
                len(unclear),
                ", ".join(self._membership.silent) or "it hangs",
            )
        elif self._unclear and not unclear:
            self._log.info("The name service answers again")
        self._unclear = unclear

    async def _remember_vouchers(self, standings: dict[str, Standing]) -> None:
        names = {name for name, standing in standings.items() if standing.account is Answer.YES}
        is_due = time.monotonic() >= self._vouchers_due
        missing = names - self._membership.known
        if names and (is_due or missing - self._unclear):
            await self._membership.remember_vouchers(sorted(names))
            self._vouchers_due = time.monotonic() + VOUCHERS_EVERY
        self._membership.forget(self._membership.known - standings.keys())
