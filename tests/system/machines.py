"""Which machine the system and browser tests act on. Used by pytest's conftest and fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.system import vagrant
from tests.system.host import Host, LocalHost
from tests.system.service import CLONE

THIS = "local"
NONE = "none"
CHOICES = ("auto", NONE, THIS, "vm", *vagrant.NAMES)
CHOSEN = pytest.StashKey[str]()


def choose(wanted: str) -> str:
    """The name of a virtual machine that runs, or this one, or none."""
    if wanted in (NONE, THIS):
        return wanted
    running = [name for name in vagrant.running() if wanted in ("auto", "vm", name)]
    if not running and wanted != "auto":
        which = "no virtual machine" if wanted == "vm" else f"no virtual machine {wanted}"
        raise pytest.UsageError(f"--host {wanted}: {which} runs; start it with vagrant up")
    return running[0] if running else NONE


@contextmanager
def opened(name: str) -> Iterator[Host]:
    if name == THIS:
        yield LocalHost(str(CLONE))
        return
    with vagrant.connected(name) as machine:
        yield machine
