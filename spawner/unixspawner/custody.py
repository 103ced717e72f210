"""What a spawner holds of its one server, in the hub: the record, the process, the end of both."""

import asyncio
import logging
import subprocess
from typing import Any

from unixspawner_mediator.protocol import ProcessIdentity, Stopped

from . import ending, records, sockets, tokens
from .process import ServerProcess
from .records import Record
from .waiting import readable_within


class Custody:
    """From before a server is asked for until nothing of it is left."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._record: Record | None = None
        self._ending: asyncio.Task[Stopped] | None = None
        self.process: ServerProcess | None = None

    @property
    def record(self) -> Record | None:
        return self._record

    def begin(self, record: Record) -> None:
        """Write down what is about to be started. Raises OSError."""
        self._take(record)
        records.write(record)

    def started(self, identity: ProcessIdentity, sudo: subprocess.Popen[bytes]) -> None:
        """The server runs as that process, or has ended already: then there is no `process`."""
        assert self._record is not None
        self._take(self._record._replace(process=identity))
        self.process = ServerProcess.verify(identity, self._record.uid, sudo)
        records.write(self._record)

    def never_began(self) -> None:
        """What was asked for was refused: there is nothing to end, now or later."""
        assert self._record is not None
        records.remove(self._record)
        records.held.pop(self._record.server_id, None)
        self._record = None

    def adopt(self, record: Record) -> None:
        """The server of a former hub, if it still runs."""
        self._take(record)
        self.process = ServerProcess.verify(record.process, record.uid)

    def _take(self, record: Record) -> None:
        self._record = record
        records.held[record.server_id] = record

    def poll(self) -> int | None:
        """None while the process runs, its exit status afterwards."""
        return self.process.poll() if self.process is not None else 0

    async def wait_for_end(self, seconds: float) -> None:
        """Until the process has ended by itself, but not longer."""
        if self.process is not None:
            await readable_within(self.process.handle, seconds)

    async def end(self, sudo_command: list[str]) -> Stopped:
        """Once, however many ask, and to the end, should the one who asked give up.

        Raises:
            AskError: it did not come to an end; to be asked again.
        """
        if self._record is None:
            return ending.NOTHING
        if self._ending is None or _is_in_vain(self._ending):
            self._ending = asyncio.create_task(ending.end(self._record, sudo_command, self._log))
        return await asyncio.shield(self._ending)

    def revoke_token(self, db: Any) -> None:
        if self._record is not None:
            tokens.revoke(db, self._record.token_hash)

    def let_go(self) -> None:
        """Forget the server. A record that is left belongs to whoever tidies up."""
        if self.process is not None:
            self.process.close()
        if self._record is not None:
            sockets.remove(self._record.socket)
            records.held.pop(self._record.server_id, None)
        self.process = self._record = self._ending = None


def _is_in_vain(ending: asyncio.Task[Stopped]) -> bool:
    if not ending.done():
        return False
    return ending.cancelled() or ending.exception() is not None or ending.result().left > 0
