"""What the shell offers after Tab, where that is a name. Never an error: Tab asks for no advice.

Names of servers and applications are what people wrote: only those are offered that no shell would
take for anything else.
"""

import re
from collections.abc import Iterable
from contextlib import suppress

import click

from .. import running, system
from .. import status as statuses
from ..errors import AdminError

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", re.ASCII)


def _fitting(names: Iterable[str], begun: str) -> list[str]:
    return sorted({name for name in names if name.startswith(begun) and _PLAIN.fullmatch(name)})


def complete_person(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    names = {server.account for server in running.servers()}
    with suppress(AdminError):
        names.update(system.members(statuses.read_options().users_group))
    return _fitting(names, begun)


def complete_server(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The named servers that run, of the person who stands before."""
    who = context.params.get("name")
    return _fitting((s.name for s in running.servers() if s.account == who), begun)


def complete_application(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[str]:
    servers = (s for s in running.servers() if s.account == context.params.get("name"))
    return _fitting((name for server in servers for name in server.applications), begun)
