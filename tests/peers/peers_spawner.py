"""pytest plug-in: JupyterHub's tests of spawners use ours instead of SimpleLocalProcessSpawner.

Run by `tests/peers/run`, as any account that is not root. Load it with `-p peers_spawner`, so that
it comes before `jupyterhub.tests.mocking` derives its own spawners from the class.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys
import tempfile
from pathlib import Path

import jupyterhub.spawner
from traitlets import Unicode, default

from unixspawner.spawner import UnixSpawner

MEDIATOR = Path(__file__).with_name("mediator_without_sudo.py")
SOCKETS = tempfile.mkdtemp(prefix="sockets-", dir="/tmp")  # lower case, see the setting


class SpawnerUnderTest(UnixSpawner):
    """Every person of the tests is the account that runs them, and sudo does not take part."""

    home_dir = Unicode("/", help="What the replaced class has; ours asks the account.")

    @property
    def account(self) -> str:
        return pwd.getpwuid(os.getuid()).pw_name

    def _sudo_command(self, account: str, verb: str) -> list[str]:
        # our packages may be in PYTHONPATH here, which the hub's side never passes on
        path = f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}"
        return ["/usr/bin/env", path, sys.executable, str(MEDIATOR), verb]

    @default("sockets_directory")
    def _own_sockets_directory(self) -> str:
        return SOCKETS

    @default("users_group")
    def _own_group(self) -> str:
        return grp.getgrgid(os.getgid()).gr_name


jupyterhub.spawner.SimpleLocalProcessSpawner = SpawnerUnderTest
