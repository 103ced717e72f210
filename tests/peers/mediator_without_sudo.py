"""The real mediator, started without sudo, as the account that runs JupyterHub's tests.

JupyterHub's tests invent people who have no account, so sudo cannot take part. Three things are
replaced: who called, the configuration, and the rule that root must own the interpreter (which in
a developer's environment is his own). Everything else is what runs on a real machine.
"""

from __future__ import annotations

import grp
import os
import sys
from pathlib import Path

from unixspawner_mediator import __main__ as mediator
from unixspawner_mediator import config, start, system
from unixspawner_mediator.config import Config

SETTINGS = Config(
    hub_account="the-hub",
    users_group=grp.getgrgid(os.getgid()).gr_name,
    command=[sys.executable, str(Path(__file__).with_name("echo_server.py"))],
    min_uid=1,
)


def main() -> int:
    config.read = lambda path="": SETTINGS
    system.caller_name = lambda: SETTINGS.hub_account
    start._require_root_owned_program = lambda path: None
    return mediator.main()


if __name__ == "__main__":
    sys.exit(main())
