"""pytest plug-in: JupyterHub's test hub starts our single-user server instead of Jupyter's.

Run by `tests/peers/run`, as any account that is not root. Load it with `-p peers_server`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jupyterhub.tests import mocking
from traitlets import default

LAUNCH = Path(__file__).with_name("launch.py")


class ServerUnderTest(mocking.InstrumentedSpawner):
    @default("cmd")
    def _our_cmd(self) -> list[str]:
        return [sys.executable, str(LAUNCH)]


# The fixture `full_spawn` takes the class from the module when a test starts.
mocking.InstrumentedSpawner = ServerUnderTest
