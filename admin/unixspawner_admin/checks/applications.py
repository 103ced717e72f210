"""Asks the release what it thinks of the files in apps.d. Nothing of it is run as root.

The code that reads these files is the people's servers' own, so that both are of one opinion.
"""

import json
import os
from collections.abc import Iterator

from .. import paths, system
from ..findings import Finding
from ..options import Options


def check(options: Options) -> Iterator[Finding]:
    """One finding for each file, and one for each thing that is wrong with it."""
    if system.uid_of(options.hub_account) is None:
        return  # said elsewhere
    python = str(paths.CURRENT / "bin/python")
    command = [python, "-I", "-m", "unixspawner_singleuser", "--check-apps", "--json"]
    command += ["--apps", str(paths.APPLICATIONS)]
    status, output = system.try_run(command, account=options.hub_account)
    try:
        found = [Finding(each["level"], each["text"], each["cure"]) for each in json.loads(output)]
    except (ValueError, TypeError, KeyError):
        last = (output.strip().splitlines() or [os.strerror(0)])[-1]
        text = f"the applications cannot be checked (status {status}, {last[:200]})"
        yield Finding("failure", text, "run ./install again")
        return
    yield from found
