"""What the home page shows of the applications.

Run as the person signed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from .account import OwnAccount
from .catalogue import Application, Source
from .on_demand import OnDemand, State, base_of
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Tile:
    """One application. Addresses are escaped already; the texts are plain.

    `restart_url` and `stop_url` are for forms that are posted, with `?_xsrf=` and the token.
    """

    name: str
    title: str
    description: str
    url: str
    icon_url: str  # empty without an icon
    state: State
    log_url: str  # empty for a shared application, as the two that follow
    restart_url: str
    stop_url: str
    outdated: bool  # its file has changed: a restart takes the new settings


class Menu:
    def __init__(
        self, settings: Settings, source: Source, account: OwnAccount, on_demand: OnDemand
    ) -> None:
        self._prefix = settings.prefix
        self._source = source
        self._account = account
        self._on_demand = on_demand

    async def tiles(self) -> list[Tile]:
        """The applications that this account may see, in the order of their files."""
        account = await self._account.get()
        return [self.tile(one) for one in self._source().visible(account.groups).applications]

    def tile(self, application: Application) -> Tile:
        runner = self._on_demand.known(application.name)
        is_ours = application.command is not None
        return Tile(
            name=application.name,
            title=application.title,
            description=application.description,
            url=base_of(application, self._prefix),
            icon_url=self.control_url(application, "icon") if application.icon else "",
            state=self._on_demand.state(application),
            log_url=self.control_url(application, "log") if is_ours else "",
            restart_url=self.control_url(application, "restart") if is_ours else "",
            stop_url=self.control_url(application, "stop") if is_ours else "",
            outdated=runner is not None and runner.differs_from(application),
        )

    def control_url(self, application: Application, verb: str) -> str:
        return f"{self._prefix}apps/-/{application.name}/{verb}"
