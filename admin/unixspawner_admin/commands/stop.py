"""`unixspawner stop`."""

from typing import Literal

import click

from .. import audit, preflight, stopping, system
from .. import status as statuses
from ..errors import AdminError
from ..options import Options
from ..stopping import Selection, Targets
from ..terminal import one_line
from .completion import complete_person, complete_server


@click.command()
@click.argument("name", required=False, shell_complete=complete_person)
@click.argument("server", required=False, shell_complete=complete_server)
@click.option("--all", "everybody", is_flag=True, help="Everybody's servers.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def stop(name: str | None, server: str | None, everybody: bool, yes: bool) -> None:
    """Stop NAME's servers, or only the one called SERVER.

    SERVER "" is the one without a name. The hub takes back the server's token and its route; while
    no hub runs the processes are ended all the same. Nothing else of NAME is touched. NAME may be
    the number of an account, also of one that has been removed.
    """
    preflight.require_root()
    if everybody == (name is not None):
        raise click.UsageError("Say whose servers, or --all.")
    options = statuses.read_options()
    who = None if name is None else stopping.account_of(options, name)
    selection = Selection(who, server)
    targets = stopping.find(options, selection)
    if not targets.all():
        _say_that_there_is_none(who)
        return
    if everybody and not yes:
        _ask(targets)
    _stop(options, selection, targets)


def _say_that_there_is_none(name: str | None) -> None:
    if name is not None and system.uid_of(name) is None:
        raise AdminError(f"There is no account {one_line(name)} on this machine.")
    click.echo(f"{one_line(name)} has no such server." if name else "Nobody has a server.")


def _ask(targets: Targets) -> None:
    for key in targets.all():
        click.echo(f"  {one_line(stopping.name_of(key))}")
    click.confirm("Stop all of these?", abort=True)


def _stop(options: Options, selection: Selection, targets: Targets) -> None:
    if targets.silence:
        click.echo(f"{targets.silence} It takes back tokens and routes when it runs again.")
    try:
        for sentence in stopping.stop(options, selection, targets):
            click.echo(one_line(sentence))
    except AdminError:
        _note(targets, "failed")
        raise
    _note(targets, "ok")


def _note(targets: Targets, outcome: Literal["ok", "failed"]) -> None:
    for account, server in targets.all():
        whom = f"{account}/{server}" if server else account
        audit.record("stop", whom=whom, outcome=outcome, reason="command")
