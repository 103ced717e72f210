"""Sizes that people choose before a start, on the installed service. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.system import command
from tests.system.accounts import Account, Accounts, replaced_file
from tests.system.applications import facts, shelf
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.limits import (
    NOT_ENFORCED,
    enforces_memory,
    limits_file,
    log_of,
    now,
    properties_of,
    slice_of,
    why_not_here,
)
from tests.system.people import is_alive, server_of, servers_of
from tests.system.ssh import session_of

SIZES = """
    [default]
    memory = "4G"
    [profile.small]
    title = "Small"
    description = "Notebooks & figures"
    memory = "256M"
    tasks = 300
    [profile.large]
    title = "Large"
    memory = "2G"
    cpu = 1.5
    [profile.huge]
    title = "Huge"
    memory = "64G"
"""
COMMON = "/etc/pam.d/common-session"


@pytest.fixture
def sizes(host: Host, accounts: Accounts) -> Iterator[None]:
    with limits_file(host, accounts, SIZES):
        yield


@pytest.fixture
def machine(host: Host, sizes: None) -> Host:
    if reason := why_not_here(host):
        pytest.skip(reason)
    return host


def choose(person: Browserless, account: Account, profile: str, server: str = "") -> httpx.Response:
    """On the page before a start."""
    person.sign_in_only(account)
    path = f"hub/spawn/{account.name}" + (f"/{server}" if server else "")
    page = person.go(path)
    assert 'name="profile"' in page.text
    answer = person.submit(path, {"profile": profile})
    return person.until_served(account.name, server, answer)


def scope_of(host: Host, account: Account, server: str = "") -> str:
    """The unit of the session that the server is in."""
    (pid,) = [
        each.pid
        for each in servers_of(host, account.name)
        if each.environment["JUPYTERHUB_SERVER_NAME"] == server
    ]
    group = session_of(host, pid).group
    place, _, scope = group.rpartition("/")
    assert place == f"/user.slice/{slice_of(account)}"
    # soon after the session has begun
    wait_for("its limits", lambda: limits_of(host, scope)["MemoryMax"] != "infinity")
    return scope


def limits_of(host: Host, unit: str) -> dict[str, str]:
    return properties_of(host, unit, "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax")


def ask(person: Browserless, account: Account, options: object) -> httpx.Response:
    """A start through the API, as a program of the person's asks for it."""
    person.sign_in_only(account)
    return person.fetch("POST", f"hub/api/users/{account.name}/server", body=options)


# Everywhere


def test_a_page_asks_and_offers_what_fits(
    host: Host, sizes: None, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in_only(accounts.alice)
    page = alice.go("hub/spawn/alice").text
    assert "256 MiB of memory, 300 processes and threads" in page
    assert "Notebooks &amp; figures" in page
    assert "2 GiB of memory, 1.5 processors" in page
    assert "Huge" not in page
    assert server_count(host) == 0


def server_count(host: Host) -> int:
    return len(command.servers(host, "alice"))


def test_a_choice_is_remembered(
    host: Host, sizes: None, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    choose(alice, accounts.alice, "large")
    assert server_of(host, "alice")
    alice.stop("alice")
    assert 'value="large" checked' in alice.go("hub/spawn/alice").text


@pytest.mark.parametrize("profile", ["huge", "gone", "../x", ["large"] * 2])
def test_what_is_not_offered_cannot_be_asked_for(
    host: Host, sizes: None, accounts: Accounts, browser: OpenBrowser, profile: object
) -> None:
    refused = ask(browser(), accounts.alice, {"profile": profile})
    assert refused.status_code == 403
    assert "for you: choose small or large." in refused.json()["message"]
    assert server_count(host) == 0


def test_a_program_that_does_not_choose_gets_the_first(
    host: Host, sizes: None, accounts: Accounts, browser: OpenBrowser
) -> None:
    assert ask(browser(), accounts.alice, None).status_code in (201, 202)
    wait_for("the server", lambda: server_count(host))
    if why_not_here(host) == "":
        assert limits_of(host, scope_of(host, accounts.alice))["TasksMax"] == "300"


def test_a_file_with_a_mistake_asks_nobody(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    with limits_file(host, accounts, SIZES + "[profile.x]\n"):
        browser().sign_in(accounts.alice)
        assert server_of(host, "alice")


# With sessions of systemd


def test_the_size_holds_for_the_server_and_no_other(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    choose(alice, accounts.alice, "small")
    choose(alice, accounts.alice, "large", "second")
    small, large = (scope_of(machine, accounts.alice, name) for name in ("", "second"))
    assert limits_of(machine, small) | {"CPUQuotaPerSecUSec": ""} == {
        "MemoryMax": str(256 * 2**20),
        "TasksMax": "300",
        "CPUQuotaPerSecUSec": "",
    }
    found = limits_of(machine, large)
    assert (found["MemoryMax"], found["CPUQuotaPerSecUSec"]) == (str(2 * 2**30), "1.500000s")
    whole = limits_of(machine, slice_of(accounts.alice))
    assert whole["MemoryMax"] == str(4 * 2**30)


def test_nothing_of_it_stays_when_the_server_has_ended(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    choose(alice, accounts.alice, "small")
    scope = scope_of(machine, accounts.alice)
    alice.stop("alice")
    wait_for("its end", lambda: limits_of(machine, scope)["MemoryMax"] != str(256 * 2**20))
    assert machine.run("find", "/run/systemd", "-path", f"*{scope}.d*").out == ""


def test_it_holds_when_the_hub_starts_again_and_cannot_be_loosened(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    choose(browser(), accounts.alice, "small")
    scope = scope_of(machine, accounts.alice)
    folder = f"/sys/fs/cgroup/user.slice/{slice_of(accounts.alice)}/{scope}"
    machine.run("systemctl", "restart", "unixspawner", timeout=90)
    attempts = (
        ("systemctl", "set-property", "--runtime", scope, "MemoryMax=infinity"),
        ("systemctl", "revert", scope),
        ("sh", "-c", f"echo max > {folder}/memory.max"),
        ("mkdir", f"{folder}/x"),
    )
    for words in attempts:
        assert machine.as_account("alice", *words, check=False).status != 0
    assert limits_of(machine, scope)["MemoryMax"] == str(256 * 2**20)
    assert is_alive(machine, server_of(machine, "alice"))


def test_variables_of_a_person_do_not_load_anything_into_it(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """Also where the machine's own stack reads them: after the program, and beside what waits."""
    folder = machine.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    machine.run("chmod", "1777", folder)
    text = f"LD_DEBUG DEFAULT=files\nLD_DEBUG_OUTPUT DEFAULT={folder}/loaded\n"
    path = f"{accounts.alice.home}/.pam_environment"
    machine.as_account("alice", "tee", path, stdin=text)
    since = now(machine)
    reads = "session required pam_env.so user_readenv=1\n"
    try:
        with replaced_file(machine, COMMON, reads + machine.run("cat", COMMON).out):
            choose(browser(), accounts.alice, "small")
            written = machine.run("find", folder, "-type", "f", "-user", "root").out
        assert machine.run("find", folder, "-type", "f", "-user", "alice").out != ""
        assert written == ""
        assert any("profile=small" in line for line in log_of(machine, accounts.alice, since))
    finally:
        machine.run("rm", "-rf", path, folder)


def test_who_uses_up_the_chosen_memory_is_told_so(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    if not enforces_memory(machine):
        pytest.skip(NOT_ENFORCED)
    with shelf(machine) as apps, apps.program("lab"):
        alice = browser()
        choose(alice, accounts.alice, "small")
        gateway = server_of(machine, "alice")
        assert "256 MiB, " in alice.go("user/alice/apps/").text
        pid = facts(alice, "alice", "lab/")["pid"]
        alice.fetch("POST", "user/alice/apps/lab/?allocate=512")
        wait_for("the end of it", lambda: command.has_ended(machine, pid))
        told = "because the 256 MiB of memory that were chosen for this server were used up"
        wait_for("the sentence", lambda: told in alice.go("user/alice/apps/").text)
        assert is_alive(machine, gateway)
