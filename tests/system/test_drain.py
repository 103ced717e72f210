"""`unixspawner drain`: nobody gets a new server, everybody is told why, and nobody loses one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system import command, service
from tests.system.accounts import Accounts
from tests.system.browserless import text_of
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.logs import HubLog
from tests.system.people import is_alive, server_of, servers_of

DRAINING = "/var/lib/unixspawner/draining"
SENTENCE = "No new servers start at the moment: Kernel update until 18:00."


@pytest.fixture(autouse=True)
def _end_of_the_drain(host: Host) -> Iterator[None]:
    yield
    command.run(host, "drain", "--end")


def drain(host: Host, *message: str) -> str:
    return command.run(host, "drain", *message).out


def test_the_same_sentence_on_page_api_and_log(
    host: Host, accounts: Accounts, browser: OpenBrowser, hub_log: HubLog
) -> None:
    said = drain(host, "Kernel", "update", "until", "18:00")
    assert said == (
        "No new servers start from now on. People read: Kernel update until 18:00\n"
        "To end this: unixspawner drain --end\n"
    )
    alice = browser()
    alice.sign_in_only(accounts.alice)
    assert SENTENCE in text_of(alice.start_in_vain("alice").text)
    alice.go("hub/home")
    answer = alice.fetch("POST", "hub/api/users/alice/server")
    if answer.status_code == 202:
        assert SENTENCE in list(alice.progress("alice"))[-1].message
    else:
        assert answer.status_code == 403
        assert SENTENCE in answer.json()["message"]
    hub_log.wait_for(f"Could not start alice's server: draining: {SENTENCE}")
    assert servers_of(host, "alice") == []


def test_all_pages_say_it_and_none_afterwards(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    drain(host, "Back <b>soon</b> & well")
    alice = browser()
    announced = (
        "No new servers start at the moment: Back <b>soon</b> & well. Running servers go on."
    )
    assert announced in text_of(alice.go("hub/login").text)
    alice.sign_in_only(accounts.alice)
    page = alice.go("hub/home").text
    assert announced in text_of(page)
    assert "<b>soon</b>" not in page
    assert command.run(host, "drain", "--end").out == "New servers start again.\n"
    assert "No new servers" not in alice.go("hub/home").text
    assert '<span id="name">alice</span>' in alice.start("alice").text


def test_running_servers_go_on_and_can_be_stopped(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    server = server_of(host, "alice")
    drain(host)
    assert alice.fetch("GET", "user/alice/whoami").json()["name"] == "alice"
    assert is_alive(host, server)
    alice.stop("alice")
    wait_for("the end of the server", lambda: not is_alive(host, server))
    default = "The administrator is working on this machine: try again later."
    assert default in text_of(alice.start_in_vain("alice").text)


def test_a_drain_holds_over_a_restart_and_shows_in_status_and_doctor(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    drain(host, "Kernel update until 18:00")
    service.do(host, "restart")
    alice = browser()
    alice.sign_in_only(accounts.alice)
    assert SENTENCE in text_of(alice.start_in_vain("alice").text)
    assert command.table(host, "status")["draining"]["message"] == "Kernel update until 18:00"
    lines = command.run(host, "status").out.splitlines()
    (line,) = [line for line in lines if line.startswith("No new servers start since ")]
    assert line.endswith(": Kernel update until 18:00")
    found = [each for each in command.findings(host) if each.cure == "unixspawner drain --end"]
    assert [each.level for each in found] == ["warning"]


def test_once_more_changes_the_message(host: Host) -> None:
    drain(host, "first")
    drain(host, "second")
    assert host.run("cat", DRAINING).out == "second\n"
    owner = host.run("stat", "-c", "%U %a", DRAINING).out.strip()
    assert owner == f"{service.options(host).hub_account} 600"
    command.run(host, "drain", "--end")
    assert command.run(host, "drain", "--end").out == "New servers could start all the time.\n"


def test_a_message_is_one_line_of_bounded_length(host: Host) -> None:
    for message in ("x" * 501, "bell\x07"):
        result = command.run(host, "drain", message, check=False)
        assert result.status == 1
        assert result.err.startswith("Error: The message must be one line of at most 500 ")
    assert host.run("test", "-e", DRAINING, check=False).status == 1
    drain(host, "two\nlines")
    assert host.run("cat", DRAINING).out == "two lines\n"


def test_root_writes_nowhere_that_the_hubs_account_points_to(host: Host) -> None:
    """What a broken-in hub puts in the place of the file is replaced, not followed."""
    hub = service.options(host).hub_account
    host.as_account(hub, "ln", "-s", "/etc/cron.d/owned", DRAINING)
    result = command.run(host, "drain", "--end", check=False)
    assert result.status == 0 or "symbolic" in result.err
    drain(host, "message")
    assert host.run("test", "-e", "/etc/cron.d/owned", check=False).status == 1
    assert host.run("stat", "-c", "%F", DRAINING).out.strip() == "regular file"
