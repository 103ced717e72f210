"""`unixspawner logs`."""

from contextlib import suppress

import click

from .. import audit, log_reading, preflight
from .completion import complete_application, complete_person, complete_server


@click.command()
@click.argument("name", shell_complete=complete_person)
@click.option(
    "--server",
    default="",
    metavar="SERVER",
    shell_complete=complete_server,
    help="A named server of NAME.",
)
@click.option(
    "--application",
    default="",
    metavar="APPLICATION",
    shell_complete=complete_application,
    help="One of its applications, as its file in apps.d is called.",
)
@click.option("--previous", is_flag=True, help="The log before this one.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    default=50,
    metavar="NUMBER",
    help="How many of the last lines (50).",
)
def logs(
    name: str, server: str, application: str, previous: bool, follow: bool, lines: int
) -> None:
    """Show what NAME's server wrote, or one of its applications.

    The logs are NAME's own files, and are read with NAME's rights. Control characters are shown
    as \\x1b and the like.
    """
    preflight.require_root()
    if application or previous:
        path = log_reading.log_path(name, server, application, previous=previous)
    else:
        path = log_reading.newest_path(name, server)
    audit.record("access", whom=f"{name}/{server}" if server else name, reason="logs")
    read = log_reading.follow if follow else log_reading.last_lines
    with suppress(KeyboardInterrupt):
        for line in read(name, path, lines):
            click.echo(line)
