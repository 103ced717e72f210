"""A home on an NFS server that takes root for nobody (root_squash). Run by pytest as root.

The server is the kernel's own, on the loopback of the machine under test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system.accounts import Accounts, processes
from tests.system.applications import facts, shelf
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.people import server_of

HAS_SERVER = "command -v exportfs && test -d /run/systemd/system && modprobe nfsd"


@pytest.fixture
def remote_home(host: Host, accounts: Accounts) -> Iterator[str]:
    """bob's home, which he alone may enter, and in which root may not even look."""
    bob = accounts.bob
    if host.run("sh", "-c", HAS_SERVER, check=False).status != 0:
        pytest.skip("this machine has no NFS server of the kernel's own")
    folder = host.run("mktemp", "-d", "/srv/unixspawner-test.XXXXXX").out.strip()
    try:
        host.run("cp", "-aT", bob.home, folder)
        host.run("chmod", "0700", folder)
        host.run("systemctl", "start", "nfs-server", timeout=120)
        host.run("exportfs", "-o", "rw,root_squash,no_subtree_check,fsid=1", f"127.0.0.1:{folder}")
        options = "vers=4.2,proto=tcp,soft,timeo=100"
        host.run("mount", "-t", "nfs", "-o", options, f"127.0.0.1:{folder}", bob.home, timeout=60)
        try:
            yield folder
        finally:
            host.run("umount", "-l", bob.home)
    finally:
        host.run("exportfs", "-ua", check=False)
        host.run("systemctl", "stop", "nfs-server", check=False, timeout=120)
        host.run("rm", "-rf", folder)


def test_a_person_works_in_a_home_that_root_cannot_enter(
    host: Host, accounts: Accounts, browser: OpenBrowser, remote_home: str
) -> None:
    home = accounts.bob.home
    assert host.run("ls", home, check=False).status != 0  # root itself
    assert host.as_account("alice", "ls", home, check=False).status != 0
    with shelf(host) as apps, apps.program("lab"):
        bob = browser()
        bob.sign_in(accounts.bob)
        server = server_of(host, "bob")
        assert server.cwd == home
        assert "UNIXSPAWNER_TROUBLE" not in server.environment
        assert bob.fetch("GET", "user/bob/whoami").json()["name"] == "bob"
        assert facts(bob, "bob", "lab/")["directory"] == home
        logs = host.run(
            "find", remote_home, "-name", "application.*.log", "-printf", "%u %m\\n"
        ).out.split("\n")
        assert set(filter(None, logs)) == {"bob 600"}
        bob.stop("bob")
        wait_for("the end of bob's processes", lambda: processes(host, "bob") == [])
