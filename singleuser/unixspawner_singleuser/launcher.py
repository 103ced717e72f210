"""Starts applications' programs as the person, on demand, and ends them with the server.

Run as the person signed in; imported with the first application that is a program.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from .account import Account
from .catalogue import Application
from .errors import StartFailedError
from .orphans import Orphans
from .patience import in_time
from .program import FILES_TIMEOUT, TOO_MANY_PROCESSES, Program, Surroundings
from .runner import Runner
from .runtime_directory import RuntimeDirectory
from .settings import Settings

log = logging.getLogger(__name__)


class Launcher:
    """Use `open` first, and `close` last."""

    def __init__(
        self, settings: Settings, account: Account, directory: RuntimeDirectory, orphans: Orphans
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._orphans = orphans
        self._around = Surroundings(
            account, settings.environment, settings.server_name, directory.path
        )
        self._runners: dict[str, Runner] = {}
        self._closing = False

    @classmethod
    async def open(cls, settings: Settings, account: Account, orphans: Orphans) -> Launcher:
        """Raises StartFailedError."""
        runtime = settings.environment.get("XDG_RUNTIME_DIR", "")
        try:
            directory = await in_time(lambda: RuntimeDirectory(runtime), FILES_TIMEOUT)
        except BlockingIOError:
            raise StartFailedError(TOO_MANY_PROCESSES) from None
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or "it takes too long"
            raise StartFailedError(f"No directory for sockets can be made: {reason}.") from None
        return cls(settings, account, directory, orphans)

    def runner(self, application: Application, prefix: str) -> Runner:
        """The one that looks after an application. Raises StartFailedError."""
        if self._closing:
            raise StartFailedError("This server is just stopping.")
        known = self._runners.get(application.name)
        if known is None:

            def make(wanted: Application) -> Program:
                return Program(wanted, prefix, self._around, self._orphans)

            known = self._runners[application.name] = Runner(make)
        return known

    @property
    def runners(self) -> Mapping[str, Runner]:
        return self._runners

    def refuse_starts(self) -> None:
        """The server is about to stop."""
        self._closing = True
        for runner in self._runners.values():
            runner.give_up_starting()

    async def close(self) -> None:
        """Ends every process that was ever started here and still runs."""
        self.refuse_starts()
        for runner in self._runners.values():
            runner.expect_end()
        await self._orphans.end_all()
        ends = [runner.close() for runner in self._runners.values()]
        await asyncio.gather(*ends, return_exceptions=True)
        self._directory.close()
