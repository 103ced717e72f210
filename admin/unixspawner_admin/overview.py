"""Who runs what: the processes that /proc shows, beside what the hub knows of them."""

import time
from dataclasses import dataclass
from datetime import datetime

from . import bounds, draining, hub_api, running, services
from .bounds import Bounds
from .draining import Draining
from .errors import AdminError
from .hub_api import HubServer
from .options import Options
from .running import Server

RUNNING, NOT_ANSWERING, NOT_RUNNING = 0, 1, 3  # as the LSB numbers them
SAMPLE = 0.5  # seconds over which the use of processors is measured
HUB_PAUSE = 5.0  # seconds between two questions to the hub

RUNS, STARTING, STOPPING = "running", "starting", "stopping"
NOT_THE_HUBS = "not known to the hub"
NO_PROCESS = "no process"
_PENDING = {"spawn": STARTING, "stop": STOPPING}


@dataclass(frozen=True)
class Row:
    """One server. `cpu` in processors, `memory` in octets."""

    person: str
    server: str
    state: str
    since: datetime | None
    memory: int
    cpu: float
    processes: int
    applications: tuple[str, ...]
    last_activity: datetime | None
    bounds: Bounds = bounds.NONE  # of all that the person runs


@dataclass(frozen=True)
class Overview:
    """`hub_silence` says why the hub's own facts are missing; empty when they are there."""

    url: str
    runs: bool
    answers: bool
    draining: Draining | None
    hub_silence: str
    memory_kind: str
    rows: tuple[Row, ...]

    @property
    def code(self) -> int:
        if not self.runs:
            return NOT_RUNNING
        return RUNNING if self.answers else NOT_ANSWERING


@dataclass(frozen=True)
class HubFacts:
    """What the hub said at one moment; `known` is None when it said nothing, `silence` why."""

    at: float
    known: dict[tuple[str, str], HubServer] | None
    silence: str = ""


@dataclass(frozen=True)
class Look:
    """All servers at one moment: of two such, between which the use of processors is measured."""

    at: float
    servers: tuple[Server, ...]
    hub: HubFacts | None = None


def look(options: Options, hub: HubFacts | None = None) -> Look:
    return Look(time.monotonic(), tuple(running.servers(options.hub_account)), hub)


def describe(options: Options, before: Look) -> tuple[Overview, Look]:
    """What there is to see now, and this look, as the base of the next."""
    runs = services.runs(services.HUB)
    answers = services.answers(options.url, options.hub_account)
    facts = _ask_hub(options, before.hub)
    time.sleep(max(0.0, before.at + SAMPLE - time.monotonic()))
    now = look(options, facts)
    shares = running.cpu_shares(before.servers, now.servers, now.at - before.at)
    kind, rows = _rows(now, shares, facts.known)
    found = Overview(options.url, runs, answers, _draining(options), facts.silence, kind, rows)
    return found, now


def _ask_hub(options: Options, before: HubFacts | None) -> HubFacts:
    """Not at each look of a live view: the hub writes every question down."""
    now = time.monotonic()
    if before is not None and now - before.at < HUB_PAUSE:
        return before
    try:
        people = hub_api.users(options, active=True)
    except AdminError as error:
        return HubFacts(now, None, str(error))
    known = {(each.user, each.name): each for person in people for each in person.servers}
    return HubFacts(now, known)


def _draining(options: Options) -> Draining | None:
    try:
        return draining.read(options)
    except (AdminError, OSError):  # not root, or no state yet: nothing to show
        return None


def _rows(
    now: Look,
    shares: dict[tuple[str, str], float],
    known: dict[tuple[str, str], HubServer] | None,
) -> tuple[str, tuple[Row, ...]]:
    kinds, rows = set(), []
    for server in now.servers:
        memory, kind = running.memory(server.pids)
        kinds.add(kind)
        rows.append(_row(server, memory, shares[server.key], known))
    seen = {(server.account, server.name) for server in now.servers}
    rows += [_without_process(each) for key, each in (known or {}).items() if key not in seen]
    return "RSS" if "RSS" in kinds else "PSS", tuple(rows)


def _row(
    server: Server, memory: int, cpu: float, known: dict[tuple[str, str], HubServer] | None
) -> Row:
    of_hub = known.get((server.account, server.name)) if known is not None else None
    state = RUNS
    if known is not None:
        state = _PENDING.get(of_hub.pending, RUNS) if of_hub else NOT_THE_HUBS
    return Row(
        person=server.account,
        server=server.name,
        state=state,
        since=server.since,
        memory=memory,
        cpu=cpu,
        processes=len(server.processes),
        applications=tuple(server.applications),
        last_activity=of_hub.last_activity if of_hub else None,
        bounds=bounds.bounds_of(server.uid),
    )


def _without_process(known: HubServer) -> Row:
    """A start before its first process, or a server whose end the hub will notice in a moment."""
    state = _PENDING.get(known.pending, NO_PROCESS)
    return Row(known.user, known.name, state, known.started, 0, 0.0, 0, (), known.last_activity)
