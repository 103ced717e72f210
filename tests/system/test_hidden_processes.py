"""A /proc that hides other people's processes, as many labs mount it. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system import command, parts
from tests.system.accounts import Accounts
from tests.system.command import Finding
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.people import is_alive, server_of
from tests.system.service import has_systemd, number_of_copy, options

GROUP = "unixspawner-test-proc"


@pytest.fixture
def hidden(host: Host) -> Iterator[str]:
    """The group that may look all the same; the hub's account is not in it."""
    if not (has_systemd(host) or number_of_copy()):
        pytest.skip("/proc is the whole machine's, and others may be at work on it")
    hub = options(host).hub_account
    host.run("groupadd", "-r", GROUP)
    try:
        host.run("mount", "-o", f"remount,hidepid=2,gid={GROUP}", "/proc")
        yield GROUP
    finally:
        host.run("mount", "-o", "remount,hidepid=0,gid=0", "/proc")
        host.run("gpasswd", "-d", hub, GROUP, check=False)
        host.run("groupdel", GROUP)
        parts.restart(host)


def finding(host: Host) -> Finding:
    (found,) = [each for each in command.findings(host) if "people's processes" in each.text]
    return found


def test_with_the_doctors_cure_servers_start_stop_and_are_adopted(
    host: Host, accounts: Accounts, browser: OpenBrowser, hidden: str
) -> None:
    told = finding(host)
    assert told.level == "failure"
    assert told.cure.startswith(f"usermod -aG {hidden} ")
    host.run("sh", "-c", told.cure, timeout=120)
    parts.wait_until_serving(host)
    assert finding(host).level == "ok"
    alice = browser()
    assert '<span id="name">alice</span>' in alice.sign_in(accounts.alice).text
    server = server_of(host, "alice")
    parts.restart(host)
    assert is_alive(host, server)
    assert '<span id="name">alice</span>' in alice.go("user/alice/").text
    alice.go("hub/home")
    alice.stop("alice")
    assert not is_alive(host, server)
