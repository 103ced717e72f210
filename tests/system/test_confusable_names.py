"""Two people and two servers whose names make the same words: they stay two.

docs/threats.md: CVE-2020-15110. Run as root.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system.accounts import Account, Accounts, create, remove
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.people import is_alive, server_of, servers_of
from tests.system.service import RUN, options

NEIGHBOUR = "alice-b"


@pytest.fixture
def neighbour(host: Host, accounts: Accounts, administrator: Browserless) -> Iterator[Account]:
    """Gone from the hub before the account goes: else the hub would revoke it in another test."""
    try:
        yield create(host, NEIGHBOUR, (options(host).users_group,))
    finally:
        administrator.go("hub/home")
        administrator.fetch("DELETE", f"hub/api/users/{NEIGHBOUR}")
        remove(host, NEIGHBOUR)


def served(page: Browserless, account: Account, server: str) -> Browserless:
    page.sign_in_only(account)
    assert f'<span id="name">{account.name}</span>' in page.start(account.name, server).text
    return page


def files(host: Host) -> tuple[set[str], int]:
    """The servers that have a record, and how many sockets there are: their names are random."""
    names = host.run("ls", f"{RUN}/servers").out.split()
    records = {name.removesuffix(".json") for name in names if name.endswith(".json")}
    return records, sum(name.endswith(".sock") for name in names)


def test_a_person_and_a_server_are_never_another_pair(
    host: Host, accounts: Accounts, neighbour: Account, browser: OpenBrowser
) -> None:
    alice = served(browser(), accounts.alice, "b-c")
    other = served(browser(), neighbour, "c")
    hers, theirs = server_of(host, "alice"), server_of(host, NEIGHBOUR)
    state = ".local/state/unixspawner"
    assert hers.output[1] == f"{accounts.alice.home}/{state}/server.b-c.log"
    assert theirs.output[1] == f"{neighbour.home}/{state}/server.c.log"
    assert hers.server_id != theirs.server_id
    assert files(host) == ({hers.server_id, theirs.server_id}, 2)
    alice.stop("alice", "b-c")
    wait_for("the end of alice's", lambda: servers_of(host, "alice") == [])
    wait_for("the end of its files", lambda: files(host) == ({theirs.server_id}, 1))
    assert is_alive(host, theirs)
    assert other.fetch("GET", f"user/{NEIGHBOUR}/c/whoami").json()["name"] == NEIGHBOUR
    assert alice.fetch("GET", f"user/{NEIGHBOUR}/c/whoami").status_code == 403
    other.stop(NEIGHBOUR, "c")
    wait_for("the end of the other", lambda: servers_of(host, NEIGHBOUR) == [])
    wait_for("the end of its files", lambda: files(host) == (set(), 0))
