"""The machine with a kernel of its own that tests/kernel has started, and how it is reached.

Run by pytest, which tests/kernel has started too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system.host import Host, be_patient
from tests.system.remote import RemoteHost
from tests.system.service import CLONE

NAME = "kernel"
VARIABLE = "UNIXSPAWNER_TESTS_KERNEL"
SLOWER = 5.0
"""How many times slower than others it is."""


@contextmanager
def connected() -> Iterator[Host]:
    """The clone is at the same path there, and is the same."""
    configuration = os.environ.get(VARIABLE)
    if configuration is None:
        raise pytest.UsageError(f"--host {NAME} is for tests/kernel MACHINE pytest ...")
    be_patient(SLOWER)
    with tempfile.TemporaryDirectory(prefix="unixspawner-ssh.") as folder:
        machine = RemoteHost("machine", Path(configuration), Path(folder), str(CLONE))
        try:
            yield machine
        finally:
            machine.close()
