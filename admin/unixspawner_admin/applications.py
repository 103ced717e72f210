"""Asks the release what it thinks of the files in apps.d. Nothing of it is run as root.

The code that reads these files is the people's servers' own, so that both are of one opinion.
"""

import json
import os
import pwd
from collections.abc import Iterator
from typing import NamedTuple

from . import paths, system
from .options import Options


class Finding(NamedTuple):
    """As `unixspawner_singleuser --check-apps --json` writes them."""

    level: str
    text: str
    cure: str


def check(options: Options) -> Iterator[Finding]:
    """One finding for each file, and one for each thing that is wrong with it."""
    python = str(paths.CURRENT / "bin/python")
    command = [python, "-I", "-m", "unixspawner_singleuser", "--check-apps", "--json"]
    command += ["--apps", str(paths.APPLICATIONS)]
    try:
        account = pwd.getpwnam(options.hub_account)
    except KeyError:
        return  # said elsewhere
    status, output = system.try_run_as(account.pw_uid, account.pw_gid, command)
    try:
        found = [Finding(each["level"], each["text"], each["cure"]) for each in json.loads(output)]
    except (ValueError, TypeError, KeyError):
        last = (output.strip().splitlines() or [os.strerror(0)])[-1]
        text = f"the applications cannot be checked (status {status}, {last[:200]})"
        yield Finding("failure", text, "run ./install again")
        return
    yield from found
