"""Applications that are programs, as the gateway sees them: a place to forward to, or why not.

Run as the person signed in. The machinery for starting is imported and set up with the first one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from .account import OwnAccount
from .catalogue import Application
from .settings import Settings

if TYPE_CHECKING:
    from .launcher import Launcher
    from .orphans import Orphans
    from .runner import Runner

State = Literal["shared", "stopped", "starting", "running", "failed"]


class OnDemand:
    def __init__(self, settings: Settings, account: OwnAccount) -> None:
        self._settings = settings
        self._account = account
        self._opening: asyncio.Task[Launcher] | None = None
        self._launcher: Launcher | None = None
        self._orphans: Orphans | None = None

    async def runner(self, application: Application) -> Runner:
        """Raises StartFailedError."""
        launcher = await self._opened()
        return launcher.runner(application, base_of(application, self._settings.prefix))

    def known(self, name: str) -> Runner | None:
        """The runner of an application that has been asked for before."""
        return self._launcher.runners.get(name) if self._launcher is not None else None

    def state(self, application: Application) -> State:
        if application.command is None:
            return "shared"
        runner = self.known(application.name)
        return "stopped" if runner is None else runner.state

    def adopt_orphans(self) -> Orphans:
        """From now on nothing that descends from this server gets lost."""
        if self._orphans is None:
            from .orphans import Orphans

            self._orphans = Orphans()
        return self._orphans

    def refuse_starts(self) -> None:
        if self._launcher is not None:
            self._launcher.refuse_starts()

    async def close(self) -> None:
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._launcher is not None:
            await self._launcher.close()
        elif self._orphans is not None:
            await self._orphans.end_all()
        if self._orphans is not None:
            self._orphans.close()

    async def _opened(self) -> Launcher:
        if self._launcher is None:
            if self._opening is None:
                self._opening = asyncio.create_task(self._open())
                self._opening.add_done_callback(self._forget)
            return await asyncio.shield(self._opening)
        return self._launcher

    async def _open(self) -> Launcher:
        from .launcher import Launcher

        account, orphans = await self._account.get(), self.adopt_orphans()
        self._launcher = await Launcher.open(self._settings, account, orphans)
        return self._launcher

    def _forget(self, opening: asyncio.Task[Launcher]) -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # seen, also when everybody who waited for it has left


def base_of(application: Application, prefix: str) -> str:
    """Where the browser finds an application, with a slash at both ends."""
    return prefix if application.root else f"{prefix}apps/{application.name}/"
