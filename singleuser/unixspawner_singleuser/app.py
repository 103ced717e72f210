"""Puts the parts together, and runs what goes on in the background beside the requests.

Run as the person signed in.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from .account import OwnAccount
from .activity import Activity, keep_reporting
from .catalogue import Source
from .catalogue_files import ROOT_ALONE, Trusted
from .exchanges import Exchanges
from .gate import Gate
from .gateway import Gateway
from .hub import Hub, check_hub
from .log_limit import keep_logs_short
from .logins import Logins
from .lookout import Lookout, keep_looking
from .menu import Menu
from .on_demand import OnDemand
from .own import own_application
from .replies import hub_version
from .sessions import Sessions
from .settings import Settings
from .signin import SignIn
from .signing import Signer, derive_key

if TYPE_CHECKING:
    from .control import Control

log = logging.getLogger(__name__)

# The hub's health check and the first visitor come first, other servers that are just starting
# too; what we ourselves want of the hub can wait for so many seconds.
QUIET_START = 3.0


@dataclass(frozen=True, slots=True)
class Application:
    """The server, without its listening socket."""

    asgi: ASGIApp
    settings: Settings
    hub: Hub
    sessions: Sessions
    exchanges: Exchanges
    activity: Activity
    gateway: Gateway
    lookout: Lookout

    async def run_in_background(self) -> None:
        """Ends only by cancellation."""
        await asyncio.sleep(QUIET_START)
        self._adopt_orphans()
        _tidy_up()
        if self.settings.dev:
            return
        keep_logs_short()
        async with asyncio.TaskGroup() as group:
            group.create_task(check_hub(self.hub, hub_version()))
            group.create_task(
                keep_looking(self.lookout, self.settings, self.hub, self.sessions, self.exchanges)
            )
            group.create_task(
                keep_reporting(self.activity, self.hub, self.settings.activity_interval)
            )

    def _adopt_orphans(self) -> None:
        try:
            self.gateway.adopt_orphans()
        except (ImportError, OSError, ValueError) as error:  # the rest is to go on
            log.error("A stop may miss what leaves its parents: %s", error)

    async def close(self) -> None:
        await self.gateway.close()
        await self.hub.close()


def _tidy_up() -> None:
    """Throws away what the imports left over; what remains stays and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def build(
    settings: Settings,
    source: Source,
    trusted: Trusted = ROOT_ALONE,
    account: OwnAccount | None = None,
) -> Application:
    """`trusted` are the accounts whose files in apps.d count."""
    signer = Signer(derive_key(settings.api_token))
    hub = Hub(settings)
    sessions = Sessions(settings, hub, signer)
    exchanges, activity, lookout = Exchanges(), Activity(), Lookout()
    account = account or OwnAccount()
    signin = SignIn(settings, sessions, Logins(settings, signer), signer, exchanges)
    on_demand = OnDemand(settings, account)
    menu = Menu(settings, source, account, on_demand)
    own = own_application(settings, signin, account, menu, signer)

    @functools.cache
    def controls() -> Control:
        from .control import Control

        return Control(settings, on_demand, menu, signer, trusted)

    gateway = Gateway(settings, source, exchanges, activity, account, own, on_demand, controls)
    gate = Gate(settings, sessions, signin, signer, activity, gateway, own, lookout)
    return Application(gate, settings, hub, sessions, exchanges, activity, gateway, lookout)
