"""How applications that started on demand end. Run as root."""

from __future__ import annotations

import pytest
from tests.system.accounts import Account, Accounts
from tests.system.applications import (
    Shelf,
    ask,
    facts,
    press,
    processes_of_application,
)
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.limits import why_not_here
from tests.system.people import is_alive, processes_of


def test_a_restart_ends_all_of_it_and_only_it(host: Host, apps: Shelf, alice: Browserless) -> None:
    with apps.program("lab"), apps.program("other"):
        other = facts(alice, "alice", "other/")["pid"]
        before = facts(alice, "alice", "lab/")["pid"]
        daemons = [ask(alice, "alice", f"lab/?daemon=plain{n}").json() for n in range(2)]
        press(alice, "alice", "lab", "restart")
        assert facts(alice, "alice", "other/")["pid"] == other
        pids = {process.pid for process in processes_of(host, "alice")}
        assert pids.isdisjoint({before, *daemons})
        assert facts(alice, "alice", "lab/")["pid"] not in (before, *daemons)


@pytest.mark.parametrize("path", ["restart", "stop"])
def test_a_form_of_another_site_restarts_nothing(
    host: Host, apps: Shelf, alice: Browserless, path: str
) -> None:
    with apps.program("lab"):
        before = facts(alice, "alice", "lab/")["pid"]
        form = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}
        answer = alice.fetch(
            "POST", f"user/alice/apps/-/lab/{path}", {**form, "X-XSRFToken": "none"}
        )
        assert answer.status_code == 403
        assert facts(alice, "alice", "lab/")["pid"] == before


def test_all_of_them_end_with_the_server(
    host: Host, apps: Shelf, accounts: Accounts, alice: Browserless
) -> None:
    with apps.program("lab"), apps.program("other"):
        facts(alice, "alice", "other/")
        for kind in ("marked", "forgetful", "stubborn"):
            assert ask(alice, "alice", f"lab/?daemon={kind}").status_code == 200
        running = processes_of(host, "alice")
        folder = facts(alice, "alice", "lab/")["arguments"][0].rpartition("/")[0]
        alice.stop("alice")
        wait_for("the end", lambda: not processes_of(host, "alice"))
        assert [process for process in running if is_alive(host, process)] == []
        assert host.run("test", "-e", folder, check=False).status == 1


@pytest.mark.parametrize("signal", ["KILL", "SEGV"])
def test_they_do_not_outlive_a_server_that_dies(
    host: Host, apps: Shelf, alice: Browserless, signal: str
) -> None:
    """The hub notices, and has everything ended that carries the server's mark."""
    with apps.program("lab"):
        facts(alice, "alice", "lab/")
        ask(alice, "alice", "lab/?daemon=marked")
        server = next(p for p in processes_of(host, "alice") if "--fd" in p.command)
        host.run("kill", f"-{signal}", str(server.pid))
        wait_for("the end of what it started", lambda: not processes_of(host, "alice"), 15)
        alice.go("hub/home")
        wait_for("the hub's notice", lambda: not alice.servers("alice"))
        alice.start("alice")
        facts(alice, "alice", "lab/")  # which clears away the directory that was left


def test_what_a_killed_server_left_is_cleared_away_by_the_next(
    host: Host, apps: Shelf, accounts: Accounts, browser: OpenBrowser
) -> None:
    def folders() -> set[str]:
        command = ("find", "/tmp", "-maxdepth", "1", "-name", "unixspawner-applications-*")
        return set(host.run(*command, "-user", "alice").out.split())

    if why_not_here(host) == "":
        pytest.skip("logind takes away the directory of a session that has ended")
    before = folders()
    with apps.program("lab"):
        for _ in range(2):
            # The second one finds what the first one left.
            open_and_kill(host, accounts.alice, browser())
            assert len(folders() - before) == 1
        person = browser()
        person.sign_in(accounts.alice)
        facts(person, "alice", "lab/")
        person.stop("alice")
        wait_for("the end", lambda: not processes_of(host, "alice"))
    assert folders() - before == set()


def open_and_kill(host: Host, account: Account, person: Browserless) -> None:
    person.sign_in(account)
    facts(person, account.name, "lab/")
    host.run("kill", "-KILL", str(server_process(host)))
    wait_for("the end", lambda: not processes_of(host, account.name))
    person.go("hub/home")
    wait_for("the hub's notice", lambda: not person.servers(account.name))


def server_process(host: Host) -> int:
    return next(each.pid for each in processes_of(host, "alice") if "--fd" in each.command)


def zombies(host: Host, account: str) -> list[str]:
    lines = host.run("ps", "-U", account, "-o", "stat=,pid=,ppid=,args=").out.splitlines()
    return [line for line in lines if line.startswith("Z")]


def test_no_zombie_stays(host: Host, apps: Shelf, alice: Browserless) -> None:
    with apps.program("lab"):
        ask(alice, "alice", "lab/?children=5")
        wait_for("five that have ended", lambda: len(zombies(host, "alice")) == 5)
        pid = facts(alice, "alice", "lab/")["pid"]
        host.run("kill", "-KILL", str(pid))
        assert facts(alice, "alice", "lab/")["pid"] != pid
        wait_for("no zombie", lambda: not zombies(host, "alice"))


def test_one_that_nobody_uses_is_ended_and_starts_again(
    host: Host, apps: Shelf, alice: Browserless
) -> None:
    with apps.program("lab", "idle_timeout = 1"):
        before = facts(alice, "alice", "lab/")["pid"]
        wait_for("its end", lambda: not processes_of_application(host, "alice", "lab"))
        assert facts(alice, "alice", "lab/")["pid"] != before
        assert len(processes_of(host, "alice")) >= 1
