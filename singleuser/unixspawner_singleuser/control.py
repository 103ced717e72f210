"""Our own addresses below `apps/-/`: logs, restart, stop and icons of applications.

Run as the person signed in, for visitors who have passed the gate. What changes something is a form
that is posted; the gate has seen its _xsrf token.
"""

from __future__ import annotations

from .catalogue import Application, Catalogue
from .on_demand import OnDemand, base_of
from .replies import Reply, redirect, refusal
from .settings import Settings
from .visit import Visit, nothing


class Control:
    def __init__(self, settings: Settings, on_demand: OnDemand) -> None:
        self._settings = settings
        self._on_demand = on_demand

    async def handle(self, visit: Visit, seen: Catalogue, names: list[str]) -> None:
        await visit.answer(await self._reply(visit, seen, names))

    def failed(self, visit: Visit, application: Application, sentence: str) -> Reply:
        return refusal(visit.request, 503, f"{application.title} did not start", sentence)

    async def _reply(self, visit: Visit, seen: Catalogue, names: list[str]) -> Reply:
        name, _, verb = "/".join(names).partition("/")
        application = seen.find(name)
        if application is None or application.command is None:
            return nothing(visit.request)
        if visit.request.method == "POST" and verb in ("restart", "stop"):
            runner = await self._on_demand.runner(application)
            await runner.stop()
            target = f"{self._settings.prefix}apps/"
            if verb == "restart":
                target = base_of(application, self._settings.prefix)
            return redirect(target)
        return nothing(visit.request)
