"""`unixspawner stop`, on real servers of real people. Run as root."""

from __future__ import annotations

import pytest
from tests.system import command
from tests.system.accounts import Accounts, processes
from tests.system.browserless import Browserless
from tests.system.command import StartProcess, is_running, of_server
from tests.system.database import server_tokens
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.live import removed
from tests.system.people import is_alive, server_of, servers_of
from tests.system.service import RUN, without_hub
from tests.system.sessions import held_sessions

IDLE = "exec sleep 600"


@pytest.fixture
def two_servers(host: Host, accounts: Accounts, browser: OpenBrowser) -> Browserless:
    """alice with a server, one named lab, and something that has nothing to do with them."""
    alice = browser()
    alice.sign_in(accounts.alice)
    alice.start("alice", "lab")
    return alice


def servers_of_the_hub(person: Browserless, name: str) -> set[str]:
    person.go("hub/home")  # its token is the one for the hub's API
    return set(person.servers(name))


def names_of(host: Host, name: str) -> set[str]:
    found = servers_of(host, name)
    return {process.environment["JUPYTERHUB_SERVER_NAME"] for process in found}


def test_stop_ends_all_servers_of_a_person_and_nothing_else(
    host: Host,
    accounts: Accounts,
    browser: OpenBrowser,
    two_servers: Browserless,
    start_process: StartProcess,
) -> None:
    browser().sign_in(accounts.bob)
    bobs, mine = server_of(host, "bob"), start_process("alice", IDLE)
    said = command.run(host, "stop", "alice").out
    assert sorted(said.splitlines()) == [
        "Stopped the server lab of alice.",
        "Stopped the server of alice.",
    ]
    assert servers_of(host, "alice") == []
    assert [note for note in server_tokens(host) if "/alice/" in note] == []
    assert servers_of_the_hub(two_servers, "alice") == set()
    assert is_running(host, mine)
    assert is_alive(host, bobs)


def test_stop_ends_the_one_that_is_named(host: Host, two_servers: Browserless) -> None:
    assert command.run(host, "stop", "alice", "lab").out == "Stopped the server lab of alice.\n"
    assert names_of(host, "alice") == {""}
    assert command.run(host, "stop", "alice", "lab").out == "alice has no such server.\n"
    assert command.run(host, "stop", "alice", "").out == "Stopped the server of alice.\n"
    assert names_of(host, "alice") == set()


def test_stop_ends_what_has_left_its_session_and_ignores_polite_signals(
    host: Host, accounts: Accounts, browser: OpenBrowser, start_process: StartProcess
) -> None:
    browser().sign_in(accounts.alice)
    stubborn = 'trap "" TERM HUP INT; while :; do sleep 1; done'
    pid = start_process("alice", stubborn, **of_server(server_of(host, "alice").server_id))
    command.run(host, "stop", "alice")
    assert not is_running(host, pid)
    assert processes(host, "alice") == []


def test_stop_works_without_the_hub_and_the_next_hub_cleans_up(
    host: Host, two_servers: Browserless, start_process: StartProcess
) -> None:
    mine = start_process("alice", IDLE)
    with without_hub(host):
        said = command.run(host, "stop", "alice", "lab").out
        assert said.endswith("Ended the processes of the server lab of alice.\n")
        assert names_of(host, "alice") == {""}
        assert is_running(host, mine)
    wait_for("the token", lambda: not [n for n in server_tokens(host) if "/lab/" in n])
    assert servers_of_the_hub(two_servers, "alice") == {""}
    assert is_running(host, mine)


def test_stop_finds_those_whose_account_was_removed_by_name_and_by_number(
    host: Host, accounts: Accounts, two_servers: Browserless
) -> None:
    """Without a hub, which would have ended all of it by itself."""
    number = str(accounts.alice.uid)
    with without_hub(host), removed(host, accounts.alice):
        assert command.servers(host, "alice").keys() == {"", "lab"}
        said = command.run(host, "stop", "alice", "lab").out
        assert said.endswith("Ended the processes of the server lab of alice.\n")
        assert command.servers(host, "alice").keys() == {""}
        said = command.run(host, "stop", number).out
        assert said.endswith("Ended the processes of the server of alice.\n")
        assert processes(host, number) == []
        unknown = command.run(host, "stop", "alice", check=False)
        assert unknown.err == "Error: There is no account alice on this machine.\n"
    wait_for("the tokens", lambda: not [n for n in server_tokens(host) if "/alice/" in n])
    wait_for("the hub to forget them", lambda: servers_of_the_hub(two_servers, "alice") == set())
    records = ("find", f"{RUN}/servers", "-name", "*.json")
    wait_for("the end of the records", lambda: host.run(*records).out == "")


def test_stop_ends_what_nobody_has_a_name_for(
    host: Host, accounts: Accounts, start_process: StartProcess
) -> None:
    pid = start_process("alice", IDLE, **of_server("ef" * 16))
    number = str(accounts.alice.uid)
    with removed(host, accounts.alice):
        assert f"to end it: unixspawner stop {number} ''\n" in command.run(host, "status").out
        assert command.run(host, "stop", number, "").out == (
            f"Ended the processes of the server of {number}.\n"
        )
        assert not is_running(host, pid)


def test_stop_ends_what_the_hub_does_not_know_of(
    host: Host, accounts: Accounts, start_process: StartProcess
) -> None:
    pid = start_process("alice", IDLE, **of_server("ef" * 16, name="lost"))
    assert command.servers(host, "alice")["lost"]["state"] == "not known to the hub"
    assert "to end it: unixspawner stop alice lost" in command.run(host, "status").out
    assert command.run(host, "stop", "alice").out == (
        "Ended the processes of the server lost of alice.\n"
    )
    assert not is_running(host, pid)


def test_stop_ends_a_start_that_is_under_way(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in_only(accounts.alice)
    with held_sessions(host):
        alice.go("hub/spawn/alice")
        command.run(host, "stop", "alice", timeout=60)
        assert servers_of_the_hub(alice, "alice") == set()
    wait_for("the end of it", lambda: processes(host, "alice") == [])


def test_stop_all_ends_everybodys_servers_after_asking(
    host: Host, accounts: Accounts, browser: OpenBrowser, two_servers: Browserless
) -> None:
    browser().sign_in(accounts.bob)
    asked = command.run(host, "stop", "--all", check=False)  # nobody answers at its input
    assert asked.status == 1
    assert "the server lab of alice" in asked.out
    assert len(servers_of(host, "alice")) + len(servers_of(host, "bob")) == 3
    command.run(host, "stop", "--all", "--yes")
    assert servers_of(host, "alice") + servers_of(host, "bob") == []
    assert command.run(host, "stop", "--all", "--yes").out == "Nobody has a server.\n"


def test_stop_says_what_is_wrong_with_the_name(host: Host, accounts: Accounts) -> None:
    assert command.run(host, "stop", "bob").out == "bob has no such server.\n"
    unknown = command.run(host, "stop", "nobody-of-that-name", check=False)
    assert unknown.status == 1
    assert unknown.err == "Error: There is no account nobody-of-that-name on this machine.\n"
    for words in ((), ("alice", "--all")):
        assert command.run(host, "stop", *words, check=False).status == 2
