"""The hub says when somebody's rights have changed; then this server asks it who may still be here.

Run as the person signed in. The message itself proves nothing, so anybody may send it: what counts
is the hub's answer. When the hub does not know this server any more, its owner may not be here, and
the server ends with all that it has started.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from .errors import HubUnavailableError
from .exchanges import REVALIDATE_EVERY, Exchanges
from .hub import Hub
from .marked import end_marked
from .patience import in_thread
from .sessions import Sessions
from .settings import Settings

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds after a look; strangers could keep us asking otherwise


class Lookout:
    def __init__(self) -> None:
        self._told = asyncio.Event()

    def tell(self) -> None:
        """Somebody says that it is time to look."""
        self._told.set()

    async def wait(self, seconds: float) -> bool:
        """Whether somebody said so before the time was up."""
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            return False
        self._told.clear()
        return True


async def keep_looking(
    lookout: Lookout, settings: Settings, hub: Hub, sessions: Sessions, exchanges: Exchanges
) -> None:
    """Every minute about open connections; about everything, as soon as the hub says so."""
    while True:
        if not await lookout.wait(REVALIDATE_EVERY):
            await exchanges.revalidate(sessions)
            continue
        sessions.forget_all()
        if await _is_unknown(hub, settings.api_token):
            log.warning("The hub does not know this server any more: it ends.")
            exchanges.close_all()
            await in_thread(lambda: end_marked(settings.server_id))
            os.kill(os.getpid(), signal.SIGTERM)
        await exchanges.revalidate(sessions)
        await asyncio.sleep(PAUSE)


async def _is_unknown(hub: Hub, token: str) -> bool:
    """A hub that is silent has not said no."""
    try:
        return await hub.visitor(token) is None
    except HubUnavailableError:
        return False
