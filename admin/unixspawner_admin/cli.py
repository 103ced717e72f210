"""The command `unixspawner`: what an administrator types once the machine is installed."""

import sys

import click

from . import doctor as doctors
from . import manifest, paths, preflight
from . import status as statuses
from . import uninstall as uninstaller
from .changes import Change
from .errors import AdminError


class _Group(click.Group):
    """Shows an AdminError as the sentence that it is."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AdminError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """JupyterHub for Unix accounts: look after this machine's service."""


@main.command()
@click.option("--wait", type=float, default=0.0, metavar="SECONDS", help="Wait for an answer.")
@click.option("--quiet", is_flag=True, help="Only the exit status: 0 when the service answers.")
@click.option("--pid", type=int, default=0, hidden=True, help="Wait while this process lives.")
def status(wait: float, quiet: bool, pid: int) -> None:
    """Whether the service runs, and who has a server.

    Exit status: 0 answers, 1 runs without an answer, 3 does not run.
    """
    if quiet:
        sys.exit(statuses.RUNNING if statuses.is_answering(wait, pid) else statuses.NOT_ANSWERING)
    if wait:
        statuses.is_answering(wait)
    found = statuses.describe()
    for line in found.lines:
        click.echo(line)
    sys.exit(found.code)


@main.command()
def doctor() -> None:
    """Check the installation, line by line, with the cure for what is wrong.

    Exit status: 0 when nothing failed, otherwise 1.
    """
    preflight.require_root()
    findings = doctors.examine(statuses.read_options())
    for finding in findings:
        click.echo(finding.line)
    sys.exit(1 if any(finding.is_failure for finding in findings) else 0)


@main.command()
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
