"""`unixspawner uninstall`."""

import click

from .. import manifest, paths, preflight
from .. import uninstall as uninstaller
from ..changes import Change
from ..errors import AdminError


@click.command()
@click.option("--purge", is_flag=True, help="Also the state, the demo person and all groups.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def uninstall(purge: bool, yes: bool) -> None:
    """Take back what ./install installed. People's accounts and homes stay as they are."""
    preflight.require_root()
    record = manifest.load(paths.MANIFEST)
    changes = uninstaller.plan(record, purge)
    end = uninstaller.plan_end(record, purge)
    if not yes:
        for change in (*changes, end):
            click.echo(f"  {change.text}")
        click.confirm("Do all of this?", abort=True)
    failures = [text for text in map(_apply, changes) if text]
    if failures:
        raise AdminError("\n".join([*failures, "Put this right and run uninstall again."]))
    stays = uninstaller.leftovers(record, purge)
    _apply(end)
    for leftover in stays:
        click.echo(f"Left: {leftover.text}")


def _apply(change: Change) -> str:
    """Do it; returns what went wrong, so that the rest is done all the same."""
    click.echo(change.text)
    try:
        change.apply()
    except (AdminError, OSError) as error:
        return f"Could not {change.text}: {error}"
    return ""
