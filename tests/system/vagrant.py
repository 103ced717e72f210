"""The virtual machines of vagrant/Vagrantfile: which of them runs, and how it is reached.

Run by pytest on the machine where `vagrant up` was run, by the same account.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system.host import Host, be_patient
from tests.system.remote import RemoteHost
from tests.system.service import CLONE

NAMES = ("bookworm", "trixie", "trixie-rs")
CLONE_THERE = "/vagrant"
DEADLINE = 300.0
EMULATED = 10.0
"""How many times slower than others a machine without KVM is."""


def running() -> list[str]:
    """The machines that run now. Vagrant needs seconds to answer, so it is not asked in vain."""
    if shutil.which("vagrant") is None or not any(CLONE.glob(".vagrant/machines/*/*/id")):
        return []
    rows = (line.split(",") for line in _vagrant("status", "--machine-readable").splitlines())
    states = {row[1]: row[3] for row in rows if row[2:3] == ["state"]}
    return [name for name in NAMES if states.get(name) == "running"]


@contextmanager
def connected(name: str) -> Iterator[Host]:
    """A running machine with this clone, as it is now, at /vagrant on it."""
    _vagrant("rsync", name)
    with tempfile.TemporaryDirectory(prefix="unixspawner-ssh.") as folder:
        configuration = Path(folder, "config")
        configuration.write_text(_vagrant("ssh-config", name))
        machine = RemoteHost(name, configuration, Path(folder), CLONE_THERE)
        if (
            machine.run("systemd-detect-virt", timeout=DEADLINE).out.strip() == "qemu"
        ):  # with KVM it says kvm
            be_patient(EMULATED)
        try:
            yield machine
        finally:
            # the tests' people had the names of those whom `vagrant up` has made
            machine.run(f"{CLONE_THERE}/vagrant/accounts", timeout=DEADLINE)
            machine.close()


def _vagrant(*words: str) -> str:
    command = ("vagrant", *words)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=CLONE, timeout=DEADLINE
    )
    if done.returncode != 0:
        raise pytest.UsageError(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")
    return done.stdout
