"""The machine restarts: the service comes up by itself, and nothing of before confuses it.

Run by pytest, against a machine that can restart while the tests go on.
"""

from __future__ import annotations

import pytest
from tests.system import command, parts, service
from tests.system.accounts import Accounts
from tests.system.browserless import Browserless
from tests.system.database import query, server_tokens
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.limits import limits_file, properties, why_not_here
from tests.system.parts import HUB, PROXY
from tests.system.people import server_of


@pytest.fixture
def machine(host: Host) -> Host:
    if not host.reboots:
        pytest.skip("the tests run on this machine itself: seen with tests/kernel")
    return host


def test_after_a_reboot_the_service_is_up_and_people_work_again(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice, bob = browser(), browser()
    bound = str(2**30) if why_not_here(machine) == "" else "infinity"
    with limits_file(machine, accounts, '[default]\nmemory = "1G"\n'):
        alice.sign_in(accounts.alice)
        alice.start("alice", "second")
        bob.sign_in(accounts.bob)
        assert properties(machine, accounts.alice)["MemoryMax"] == bound
        machine.reboot()
        parts.wait_until_serving(machine)

        # up, once each, and all of before forgotten
        wait_for("one hub and one proxy", lambda: how_many(machine) == [1, 1])
        wait_for("the hub to forget alice's servers", lambda: has_none(alice, "alice"))
        wait_for("the hub to forget bob's server", lambda: has_none(bob, "bob"))
        assert server_tokens(machine) == ()
        assert query(machine, "SELECT count(*) FROM servers") == [[0]]
        assert machine.run("find", f"{service.RUN}/servers", "-mindepth", "1").out == ""
        assert properties(machine, accounts.alice)["MemoryMax"] == "infinity"

        # whoever was signed in still is, others sign in anew; limits hold again
        assert '<span id="name">alice</span>' in alice.start("alice").text
        stranger = browser()
        stranger.sign_in(accounts.bob)
        assert stranger.fetch("GET", "user/bob/whoami").json()["name"] == "bob"
        assert server_of(machine, "alice").pid != server_of(machine, "bob").pid
        assert properties(machine, accounts.alice)["MemoryMax"] == bound
    failures = [each.text for each in command.findings(machine) if each.level == "failure"]
    assert failures == []


def how_many(host: Host) -> list[int]:
    """A child of the hub looks like another one until it has become its own program."""
    return [len(parts.all_of(host, part)) for part in (HUB, PROXY)]


def has_none(person: Browserless, name: str) -> bool:
    return not [s for s in person.servers(name).values() if s["ready"] or s["pending"]]
