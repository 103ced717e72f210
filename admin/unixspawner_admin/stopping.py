"""Stops people's servers: through the hub, so that tokens and routes go with them, or without it.

What the hub does not know of, and everything while there is no hub, is ended by the marker that all
processes of a server inherit. A hub that comes later sees that its servers are gone, and cleans up.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import hub_api, marked, running
from .errors import AdminError
from .hub_api import HubDownError
from .options import Options
from .running import Server

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_AT_A_TIME = 16
_PATIENCE = 15.0  # seconds for what the hub has agreed to: it asks politely first, then kills

Key = tuple[str, str]
"""Whose server, and its name."""


@dataclass(frozen=True)
class Selection:
    """Which servers are meant; None stands for all of them."""

    account: str | None = None
    server: str | None = None

    def includes(self, account: str, server: str) -> bool:
        return self.account in (None, account) and self.server in (None, server)


@dataclass
class Targets:
    """`hub` is None where none answers; `silence` says why."""

    hub: list[Key] | None
    others: list[Key]
    silence: str = ""

    def all(self) -> list[Key]:
        return sorted({*(self.hub or []), *self.others})


@dataclass
class Finder:
    """The processes of the selected servers, those included that have lost their parents since."""

    selection: Selection
    hub_account: str = ""
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def servers(self) -> list[Server]:
        found = running.servers(self.hub_account)
        return [s for s in found if self.selection.includes(s.account, s.name)]

    def pids(self) -> list[int]:
        for server in self.servers():
            self._seen |= {(process.pid, process.started) for process in server.processes}
        return sorted(pid for pid, started in self._seen if running.start_time(pid) == started)


def account_of(options: Options, who: str) -> str:
    """Whom an administrator means by a name, or by a number: nobody whom we serve is called so."""
    if not _NUMBER.fullmatch(who):
        return who
    found = (s.account for s in running.servers(options.hub_account) if s.uid == int(who))
    return next(found, marked.account_of(int(who)))


def find(options: Options, selection: Selection) -> Targets:
    """What there is to stop."""
    others = [(s.account, s.name) for s in Finder(selection, options.hub_account).servers()]
    try:
        people = hub_api.users(options, active=True)
    except HubDownError as error:
        return Targets(None, others, str(error))
    known = [(s.user, s.name) for person in people for s in person.servers]
    mine = [key for key in known if selection.includes(*key)]
    return Targets(mine, [key for key in others if key not in mine])


def stop(options: Options, selection: Selection, targets: Targets) -> Iterator[str]:
    """Stop them; yields a sentence for each step.

    Raises:
        AdminError: something still runs.
    """
    finder = Finder(selection, options.hub_account)
    finder.pids()
    complaints = []
    for key, complaint in _through_the_hub(options, targets.hub or []):
        if complaint:
            complaints.append(f"{name_of(key)}: {complaint}")
        else:
            yield f"Stopped {name_of(key)}."
    if targets.hub:
        _wait(lambda: not finder.pids(), _PATIENCE if not complaints else 0)
    yield from _without_the_hub(finder)
    if left := finder.pids():
        numbers = ", ".join(map(str, left))
        raise AdminError("\n".join([*complaints, f"These processes cannot be ended: {numbers}."]))
    if complaints:
        raise AdminError("\n".join(complaints))


def name_of(key: Key) -> str:
    account, server = key
    return f"the server {server} of {account}" if server else f"the server of {account}"


def _through_the_hub(options: Options, known: list[Key]) -> Iterator[tuple[Key, str]]:
    for start in range(0, len(known), _AT_A_TIME):
        batch = known[start : start + _AT_A_TIME]
        yield from zip(batch, hub_api.stop(options, batch), strict=True)


def _without_the_hub(finder: Finder) -> Iterator[str]:
    left = {(server.account, server.name) for server in finder.servers()}
    if finder.pids():
        marked.end_all(finder.pids)
    for key in sorted(left):
        yield f"Ended the processes of {name_of(key)}."


def _wait(is_over: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_over() and time.monotonic() < deadline:
        time.sleep(0.1)
