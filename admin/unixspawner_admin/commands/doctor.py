"""`unixspawner doctor`."""

import json
import sys

import click

from .. import preflight, terminal
from .. import status as statuses


@click.command()
@click.option("--quiet", is_flag=True, help="Only what is not as it should be.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(quiet: bool, as_json: bool) -> None:
    """Check the installation, line by line, with the cure for what is wrong.

    Nothing is changed. A cure is a command that can be pasted, or a sentence where there is none.

    Exit status: 0 when nothing failed (there may be warnings), otherwise 1.
    """
    from .. import doctor as doctors  # half of all imports; every Tab would wait for it

    preflight.require_root()
    findings = []
    for finding in doctors.examine(statuses.read_options()):
        findings.append(finding)
        if not as_json and not (quiet and finding.level == "ok"):
            click.echo(finding.shown(terminal.width()))
    click.echo(
        json.dumps(doctors.table(findings), indent=1) if as_json else doctors.summary(findings)
    )
    sys.exit(1 if any(finding.is_failure for finding in findings) else 0)
