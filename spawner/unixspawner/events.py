"""What happens to one server, for the audit stream. Runs in the hub, one for each spawner."""

from typing import Any, NamedTuple

from jupyterhub import orm

from . import audit, metrics
from .failures import DECISIONS

CULLERS = ("idle-culler", "jupyterhub-idle-culler", "cull-idle")
"""Services whose stops are culls in the audit stream."""


NOWHERE = "0.0.0.0"  # noqa: S104  what tornado calls the other end of a Unix socket


class Asker(NamedTuple):
    """Who asked the hub for something, and from where as the hub knows it."""

    who: str = audit.HUB
    source: str = ""
    is_culler: bool = False


def asker(handler: Any) -> Asker:
    """Whoever sent the request; the hub itself where there was none."""
    if handler is None or handler.current_user is None:
        return Asker()
    user, source = handler.current_user, handler.request.remote_ip
    if source == NOWHERE:
        source = ""
    if isinstance(user, orm.Service):
        return Asker(f"service:{user.name}", source, user.name in CULLERS)
    return Asker(str(user.name), source)


class Events:
    """Starts, adoptions and stops of a spawner's servers, for the audit stream and as figures."""

    def __init__(self, spawner: Any) -> None:
        self._spawner = spawner
        self._forget()

    def _forget(self) -> None:
        self.asked_by: Asker | None = None
        self._is_on = self._was_stopped = False
        self._failure = ""

    @property
    def _name(self) -> str:
        return audit.server_name(self._spawner.account, self._spawner.name)

    def started(self) -> None:
        self._is_on = True
        self._record("start", asker(self._spawner.handler), "ok")

    def not_started(self, code: str) -> None:
        outcome: audit.Outcome = "refused" if code in DECISIONS else "failed"
        self._record("start", asker(self._spawner.handler), outcome, code)

    def adopted(self, runs: bool) -> None:
        self._is_on = True
        metrics.adopted(runs=runs)
        self._record("adopt", Asker(), "ok" if runs else "ended")

    def stopped(self, failure: str) -> None:
        """We have tried to end the server; `failure` is a code, empty when it ended."""
        self._was_stopped, self._failure = True, failure

    def over(self) -> None:
        """The hub is done with the server: it was stopped, or has ended by itself."""
        if self._is_on:  # else it never came up, which has been said
            self._record_end()
        self._forget()

    def _record_end(self) -> None:
        who = self.asked_by or Asker()
        event: audit.Event = "cull" if who.is_culler else "stop"
        if self._was_stopped:
            metrics.stopped(well=not self._failure)
        if self._failure:
            self._record(event, who, "failed", self._failure)
        else:
            self._record(event, who, "ok" if self._was_stopped else "ended")

    def _record(
        self, event: audit.Event, who: Asker, outcome: audit.Outcome, reason: str = ""
    ) -> None:
        audit.record(
            event, who=who.who, whom=self._name, source=who.source, outcome=outcome, reason=reason
        )
