"""Which machine the system and browser tests act on. Used by pytest's conftest and fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.system import kernel, vagrant
from tests.system.host import Host, LocalHost
from tests.system.service import CLONE

THIS = "local"
NONE = "none"
CHOICES = ("auto", NONE, THIS, kernel.NAME, "vm", *vagrant.NAMES)
CHOSEN = pytest.StashKey[str]()


def choose(wanted: str) -> str:
    """The name of a virtual machine that runs, or this one, or none."""
    if wanted in (NONE, THIS, kernel.NAME):
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
    other = kernel.connected() if name == kernel.NAME else vagrant.connected(name)
    with other as machine:
        yield machine
