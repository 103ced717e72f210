"""`unixspawner users`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

import click

from .. import people, preflight, terminal, wording
from .. import status as statuses
from ..people import People, Person
from ..tables import Column, layout
from ..terminal import one_line

_COLUMNS = (
    Column("PERSON", least=8),
    Column("MAY SIGN IN", least=11),
    Column("SIGNED IN"),
    Column("USED", to_the_right=True),
    Column("ADMIN"),
    Column("SERVERS", least=8),
)
_YES_OR_NO = {True: "yes", False: "no", None: "?"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def users(as_json: bool) -> None:
    """Who is let in: the members of the users' group.

    Says of each person whether something is in the way (a lock, an expiry, no login shell),
    whether a browser is signed in to a server, when the service was last used, and what runs.
    """
    preflight.require_root()
    options = statuses.read_options()
    found = people.find(options)
    if as_json:
        click.echo(json.dumps(_table(found), indent=1))
        return
    for line in _lines(found, options.users_group, terminal.width()):
        click.echo(line)


def _lines(found: People, group: str, width: int | None) -> Iterator[str]:
    if found.people:
        now = datetime.now().astimezone()
        yield from layout(_COLUMNS, [_cells(person, now) for person in found.people], width)
        yield ""
        yield _summary(found, group)
    else:
        yield f"The group {group} has no members. To let somebody in: usermod -aG {group} NAME"
    yield from (one_line(remark, 500) for remark in found.remarks)


def _cells(person: Person, now: datetime) -> list[str]:
    names = [one_line(name) or "(unnamed)" for name in person.servers]
    return [
        one_line(person.name),
        f"no: {person.trouble}" if person.trouble else "yes",
        _YES_OR_NO[person.signed_in],
        wording.ago(person.last_activity, now),
        "yes" if person.administrator else "",
        ", ".join(names),
    ]


def _summary(found: People, group: str) -> str:
    members = [each for each in found.people if each.trouble != people.NOT_A_MEMBER]
    barred = sum(1 for each in members if each.trouble)
    text = f"{wording.count(len(members), 'member')} of {group}"
    return f"{text}, {barred} of them cannot sign in" if barred else text


def _table(found: People) -> dict[str, object]:
    rows = [
        asdict(each) | {"last_activity": wording.iso(each.last_activity)} for each in found.people
    ]
    return {"people": rows, "remarks": list(found.remarks)}
