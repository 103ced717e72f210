"""A home on an ext4 with quota, which its owner has used up. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system.accounts import Accounts
from tests.system.browserless import text_of
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.people import server_of

QUOTA = (
    "Your disk quota is used up: delete files in /home/bob or ask your administrator for more. "
    "Until then nothing can be saved."
)


@pytest.fixture
def full(host: Host, accounts: Accounts) -> Iterator[None]:
    """bob's home on a disk of its own, of which he has used all that he may: 1 MiB."""
    bob = accounts.bob
    if host.run("sh", "-c", "command -v setquota", check=False).status != 0:
        pytest.skip("this machine has no tools for quota")
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    disk = f"{folder}/disk"
    host.run("sh", "-c", "modprobe loop || true")  # which is a part of the kernel elsewhere
    try:
        host.run("truncate", "-s", "32M", disk)
        host.run("mke2fs", "-q", "-t", "ext4", "-O", "quota", "-E", "quotatype=usrquota", disk)
        mounted = host.run("mount", "-o", "loop,usrquota", disk, bob.home, check=False)
        if mounted.status != 0:
            pytest.skip(f"this kernel has no quota, or no disks for it: {mounted.err.strip()}")
        try:
            host.run("chown", f"{bob.name}:{bob.name}", bob.home)
            host.run("setquota", "-u", bob.name, "0", "1024", "0", "0", bob.home)
            filling = ("dd", "if=/dev/zero", f"of={bob.home}/filling", "bs=4096")
            assert "quota exceeded" in host.as_account(bob.name, *filling, check=False).err
            yield
        finally:
            host.run("umount", "-l", bob.home)
    finally:
        host.run("rm", "-r", folder)


@pytest.mark.usefixtures("full")
def test_who_has_used_up_the_quota_is_served_and_told(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    bob = browser()
    page = bob.sign_in(accounts.bob)
    assert server_of(host, "bob").environment["UNIXSPAWNER_TROUBLE"] == QUOTA
    assert QUOTA in text_of(page.text)
    assert bob.fetch("GET", "user/bob/whoami").json()["name"] == "bob"
    host.as_account("bob", "rm", f"{accounts.bob.home}/filling")
    bob.stop("bob")
    page = bob.start("bob")
    assert QUOTA not in text_of(page.text)
    assert "UNIXSPAWNER_TROUBLE" not in server_of(host, "bob").environment
