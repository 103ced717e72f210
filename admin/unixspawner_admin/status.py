"""Whether the service answers, and who runs what: for people, init scripts and monitoring."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

from . import options, paths, services, system, wording
from .bounds import Bounds
from .errors import AdminError
from .overview import NOT_ANSWERING, NOT_THE_HUBS, RUNNING, RUNS, Overview, Row
from .tables import Column, layout
from .terminal import one_line

_COLUMNS = (
    Column("PERSON", least=8),
    Column("SERVER", least=6),
    Column("SINCE"),
    Column("MEMORY", to_the_right=True),
    Column("CPU", to_the_right=True),
    Column("PROCS", to_the_right=True),
    Column("USED", to_the_right=True),
    Column("MAY USE"),
    Column("APPLICATIONS", least=6),
)
_BOUNDS = 7  # the column of what people may use, left out where there are no limits
_KINDS = {
    "PSS": "Memory is PSS (what processes share is divided among them).",
    "RSS": "Memory is RSS (what processes share is counted for each).",
}

__all__ = ["NOT_ANSWERING", "RUNNING", "is_answering", "lines", "read_options", "table"]


def read_options() -> options.Options:
    """The options of the installation.

    Raises:
        AdminError: there is none.
    """
    text = system.read_text(paths.OPTIONS)
    if text is None:
        raise AdminError("unixspawner is not installed here: run ./install in a clone.")
    return options.parse([], options.read_remembered(text))[0]


def is_answering(wait: float, pid: int = 0) -> bool:
    chosen = read_options()
    return services.wait_until_answering(chosen.url, chosen.hub_account, wait, pid)


def lines(found: Overview, width: int | None, now: datetime) -> Iterator[str]:
    """The whole of it for people."""
    yield _service(found)
    if found.draining:
        since, why = wording.moment(found.draining.since, now), one_line(found.draining.message)
        yield f"No new servers start since {since}: {why}"
    if found.hub_silence and found.runs:
        yield f"Without the hub's own facts: {one_line(found.hub_silence)}"
    if not found.rows:
        yield "No servers of people are running."
        return
    yield ""
    yield from _table(found, width, now)
    yield ""
    yield from _summary(found)


def _table(found: Overview, width: int | None, now: datetime) -> list[str]:
    columns, cells = list(_COLUMNS), [_cells(row, now) for row in found.rows]
    if not any(row[_BOUNDS] for row in cells):
        columns.pop(_BOUNDS)
        cells = [row[:_BOUNDS] + row[_BOUNDS + 1 :] for row in cells]
    return layout(columns, cells, width)


def _service(found: Overview) -> str:
    if found.runs:
        how = "and answers" if found.answers else "but does not answer"
        return f"The service runs {how} at {found.url}"
    if found.answers:
        return f"The service does not run; a proxy of it answers at {found.url}"
    return "The service does not run."


def _cells(row: Row, now: datetime) -> list[str]:
    return [
        one_line(row.person),
        one_line(row.server),
        wording.moment(row.since, now) if row.state in (RUNS, NOT_THE_HUBS) else row.state,
        wording.octets(row.memory),
        wording.percent(row.cpu),
        str(row.processes),
        wording.ago(row.last_activity, now),
        _bounds(row.bounds),
        ", ".join(row.applications),
    ]


def _bounds(found: Bounds) -> str:
    """How many processes is a limit that every machine has."""
    memory = wording.octets(found.memory) if found.memory is not None else ""
    cpu = f"{found.cpu:g} CPU" if found.cpu is not None else ""
    return ", ".join(filter(None, (memory, cpu)))


def _summary(found: Overview) -> Iterator[str]:
    rows = found.rows
    people = wording.count(len({row.person for row in rows}), "person", "people")
    memory = wording.octets(sum(row.memory for row in rows))
    cpu = wording.percent(sum(row.cpu for row in rows))
    servers = wording.count(len(rows), "server")
    yield f"{servers} of {people}, {memory}, {cpu} of one processor."
    yield _KINDS[found.memory_kind]
    for row in rows:
        if row.state == NOT_THE_HUBS:
            yield f"The hub does not know this server; to end it: {_stop_command(row)}"


def _stop_command(row: Row) -> str:
    """To be typed as it is: the server's name is whatever its person has written."""
    if not row.server.isprintable():
        return f"unixspawner stop {shlex.quote(row.person)}"  # all of theirs
    words = (["--"] if row.server.startswith("-") else []) + [row.person, row.server]
    return one_line(f"unixspawner stop {shlex.join(words)}", 2000)


def table(found: Overview) -> dict[str, object]:
    """The same for programs."""
    draining = found.draining
    return {
        "service": {"runs": found.runs, "answers": found.answers, "url": found.url},
        "hub": {"answers": not found.hub_silence, "reason": found.hub_silence},
        "draining": draining
        and {"since": wording.iso(draining.since), "message": draining.message},
        "memory_kind": found.memory_kind,
        "servers": [_fields(row) for row in found.rows],
    }


def _fields(row: Row) -> dict[str, object]:
    times = {"since": wording.iso(row.since), "last_activity": wording.iso(row.last_activity)}
    return asdict(row) | {"cpu": round(row.cpu, 4), "applications": list(row.applications)} | times
