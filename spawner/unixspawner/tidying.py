"""Ends what a former hub began and nobody looks after any more, and what would not end at first.

Run in the hub: records of servers without a spawner, sockets without a record, tokens of servers
that are gone. A hub that was killed in the middle of a start leaves all three.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from jupyterhub import orm

from . import ending, records, sockets, tokens
from .errors import AskError
from .records import Record

EVERY = 10.0  # seconds between two looks
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0  # between two attempts for the same server

StopCommand = Callable[[int], list[str]]
"""From an account's number to the command that stops a server of it."""


class Tidying:
    """Looks after the records that no spawner of this hub holds."""

    def __init__(
        self, directory: str, stop_command: StopCommand, db: Any, log: logging.Logger
    ) -> None:
        self._directory = directory
        self._stop_command = stop_command
        self._db = db
        self._log = log
        self._due: dict[str, tuple[float, float]] = {}  # server: when, and the pause before that

    async def keep_tidy(self) -> None:
        """Ends only by cancellation."""
        for path in records.forgotten_sockets(self._directory):
            self._log.info("Removing the socket %s, which belongs to no server", path)
            sockets.remove(path)
        while True:
            try:
                await self.look()
            except Exception:  # such as a database that is locked, or no descriptor left
                self._db.rollback()
                self._log.exception("Could not end what is left of servers; the next look comes")
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Try once each what is due."""
        now = time.monotonic()
        unheld = list(records.unheld(self._directory))
        self._due = {r.server_id: self._due.get(r.server_id, (now, 0.0)) for r in unheld}
        for record in unheld:
            when, pause = self._due[record.server_id]
            if when <= now and not await self._end(record):
                pause = min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)
                self._due[record.server_id] = (now + pause, pause)

    async def _end(self, record: Record) -> bool:
        name = ending.log_name(record.user, record.server_name)
        self._log.info("Ending what is left of a server of %s", name)
        tokens.revoke(self._db, record.token_hash)
        try:
            stopped = await ending.end(record, self._stop_command(record.uid), self._log)
        except AskError:  # logged
            return False
        return not stopped.left


def tokens_of_servers(db: Any) -> set[str]:
    """The hashes of all tokens that JupyterHub has made for servers, running or not."""
    found = db.query(orm.APIToken).filter(
        orm.APIToken.note.like("Server at /%"),
        orm.APIToken.client_id == "jupyterhub",
        orm.APIToken.expires_at.is_(None),
    )
    return {str(token.hashed) for token in found}


def revoke_forgotten(db: Any, hashes: set[str], log: logging.Logger) -> None:
    """Revoke those of the tokens that belong to no server which this hub looks after.

    `hashes` are from before the hub answered anybody, so that no start is under way for them.
    """
    forgotten = hashes - {record.token_hash for record in records.held.values()}
    for token_hash in forgotten:
        tokens.revoke(db, token_hash)
    if forgotten:
        log.info("Revoked %i tokens of servers that are gone", len(forgotten))
