"""`unixspawner drain`."""

import click

from .. import audit, draining, preflight
from .. import status as statuses
from ..terminal import one_line


@click.command()
@click.argument("message", nargs=-1)
@click.option("--end", is_flag=True, help="Let new servers start again.")
def drain(message: tuple[str, ...], end: bool) -> None:
    """Let no new servers start, and say why on the hub's pages: MESSAGE.

    Servers that run go on, and people can still sign in. It counts at once, and holds over restarts
    of the service and the machine until --end. Once more with another MESSAGE changes it.
    """
    preflight.require_root()
    options = statuses.read_options()
    if end:
        was = draining.end(options)
        audit.record("drain", reason="ended")
        click.echo("New servers start again." if was else "New servers could start all the time.")
        return
    draining.begin(options, " ".join(message))
    audit.record("drain", reason="begun")
    found = draining.read(options)
    said = one_line(found.message) if found else ""
    click.echo(f"No new servers start from now on. People read: {said}")
    click.echo("To end this: unixspawner drain --end")
