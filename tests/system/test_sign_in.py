"""Sign in, be served as yourself, sign out, sign in again: over HTTP, with real accounts."""

from __future__ import annotations

import threading

import pytest
from tests.system.accounts import Accounts, processes
from tests.system.breakages import appended
from tests.system.browserless import Browserless, login_error, text_of
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.people import server_of, servers_of
from tests.system.service import MEDIATOR_TOML
from tests.system.sessions import held_sessions


def test_the_sign_in_page_says_which_machines_account_is_asked_for(
    host: Host, browser: OpenBrowser
) -> None:
    page = browser().go("")
    machine = host.run("hostname").out.strip()
    assert page.url.path.endswith("/hub/login")
    assert f"Unix account on {machine}" in text_of(page.text)


def test_signing_in_leads_to_the_demo_page_with_ones_name(
    accounts: Accounts, browser: OpenBrowser
) -> None:
    page = browser().sign_in(accounts.alice)
    assert page.status_code == 200
    assert page.url.path.endswith("/user/alice/")
    assert '<span id="name">alice</span>' in page.text
    assert f'<dd id="uid">{accounts.alice.uid}</dd>' in page.text
    assert "checked by the kernel" in page.text


def test_the_backend_knows_the_account_and_its_groups(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    facts = alice.fetch("GET", "user/alice/whoami").json()
    assert sorted(facts["groups"]) == sorted(host.run("id", "-Gn", "alice").out.split())
    assert (facts["name"], facts["uid"], facts["proof"]) == ("alice", accounts.alice.uid, "kernel")


def test_a_forged_identity_header_changes_nothing(accounts: Accounts, browser: OpenBrowser) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    forged = {"X-Forwarded-User": "bob", "x_forwarded_user": "bob", "X-Forwarded-Visitor": "bob"}
    facts = alice.fetch("GET", "user/alice/whoami", forged).json()
    assert (facts["name"], facts["visitor"]) == ("alice", None)


def test_the_server_really_is_that_account(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    server = server_of(host, "alice")
    gid = int(host.run("id", "-g", "alice").out)
    groups = sorted(int(each) for each in host.run("id", "-G", "alice").out.split())
    assert server.uids == [accounts.alice.uid] * 4
    assert server.gids == [gid] * 4
    assert server.groups == groups
    assert server.capabilities == "0" * 16
    assert server.cwd == accounts.alice.home
    assert server.umask == host.run("su", "alice", "-c", "umask").out.strip()
    assert server.environment["HOME"] == accounts.alice.home
    assert server.environment["USER"] == server.environment["LOGNAME"] == "alice"


def test_an_administrator_may_choose_the_umask(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    with appended(MEDIATOR_TOML, 'umask = "0037"')(host):
        browser().sign_in(accounts.alice)
        assert server_of(host, "alice").umask == "0037"


def test_what_the_server_writes_belongs_to_the_person(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    log = f"{accounts.alice.home}/.local/state/unixspawner/server.log"
    group = host.run("id", "-gn", "alice").out.strip()
    assert server_of(host, "alice").output == ["/dev/null", log, log]
    assert host.run("stat", "-c", "%U:%G %a %F", log).out.strip().startswith(f"alice:{group} 600 ")


def test_signing_out_and_in_again_works(accounts: Accounts, browser: OpenBrowser) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    alice.sign_out()
    assert alice.go("user/alice/").url.path.endswith("/hub/login")
    page = alice.sign_in(accounts.alice)
    assert '<span id="name">alice</span>' in page.text


def test_the_pages_own_sign_out_link_signs_out(accounts: Accounts, browser: OpenBrowser) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    alice.go("user/alice/logout")
    assert alice.go("user/alice/").url.path.endswith("/hub/login")
    assert alice.go("hub/home").url.path.endswith("/hub/login")


def test_two_people_at_once_are_served_as_themselves(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    people = (accounts.alice, accounts.bob)
    pages: dict[str, str] = {}

    def sign_in(profile: Browserless, index: int) -> None:
        pages[people[index].name] = profile.sign_in(people[index]).text

    threads = [threading.Thread(target=sign_in, args=(browser(), index)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for person in people:
        assert f'<span id="name">{person.name}</span>' in pages[person.name]
        assert server_of(host, person.name).uids == [person.uid] * 4


def test_nobody_reaches_another_persons_server(accounts: Accounts, browser: OpenBrowser) -> None:
    browser().sign_in(accounts.alice)
    bob = browser()
    bob.sign_in(accounts.bob)
    page = bob.go("user/alice/")
    assert page.status_code in (403, 404)
    assert '<span id="name">' not in page.text
    assert bob.fetch("GET", "user/alice/whoami").status_code == 403


def test_without_signing_in_no_page_and_no_answer_is_given(
    accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    stranger = browser()
    assert stranger.go("user/alice/").url.path.endswith("/hub/login")
    assert stranger.fetch("GET", "user/alice/whoami").status_code == 403


def test_a_start_is_told_in_real_steps(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in_only(accounts.alice)
    with held_sessions(host) as release:
        pending = alice.go("hub/spawn/alice")
        assert "/hub/spawn-pending/alice" in pending.url.path
        events = alice.progress("alice")
        steps = [next(events), next(events)]
        assert steps[1].message == "Opening a session for alice"
        release()
        steps += list(events)
    assert [step.message for step in steps if step.message.startswith("Started as alice, ")]
    assert steps[-1].ready
    percents = [step.percent for step in steps if step.percent is not None]
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_a_named_server_is_a_server_of_its_own(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    page = alice.start("alice", "second")
    assert page.url.path.endswith("/user/alice/second/")
    assert '<span id="name">alice</span>' in page.text
    logs = {server.output[1].rpartition("/")[2] for server in servers_of(host, "alice")}
    assert logs == {"server.log", "server.second.log"}
    assert len({server.server_id for server in servers_of(host, "alice")}) == 2
    alice.stop("alice", "second")
    wait_for("the end of one server", lambda: len(servers_of(host, "alice")) == 1)
    assert server_of(host, "alice").output[1].endswith("/server.log")


def test_a_stopped_server_leaves_no_process(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    assert processes(host, "alice") != []
    alice.stop("alice")
    wait_for("the end of alice's processes", lambda: processes(host, "alice") == [])


def test_members_of_the_administrators_group_are_administrators_and_others_are_not(
    accounts: Accounts, browser: OpenBrowser
) -> None:
    carol, alice = browser(), browser()
    carol.sign_in_only(accounts.carol)
    alice.sign_in_only(accounts.alice)
    assert carol.go("hub/admin").status_code == 200
    assert carol.fetch("GET", "hub/api/users").status_code == 200
    assert alice.go("hub/admin").status_code == 403
    assert alice.fetch("GET", "hub/api/users").status_code == 403
    assert carol.fetch("GET", "hub/api/users/carol").json()["admin"] is True
    assert carol.fetch("GET", "hub/api/users/alice").json()["admin"] is False


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "%09//evil.example"])
def test_signing_in_leads_nowhere_else(
    host: Host, accounts: Accounts, browser: OpenBrowser, target: str
) -> None:
    alice = browser()
    alice.go(f"hub/login?next={target}")
    form = {"username": "alice", "password": accounts.alice.password}
    answer = alice.submit(f"hub/login?next={target}", form)
    assert str(answer.url).startswith(host.url)


def test_the_sign_in_form_of_another_site_is_refused(
    accounts: Accounts, browser: OpenBrowser
) -> None:
    victim = browser()
    victim.go("hub/login")
    form = {"username": "alice", "password": accounts.alice.password, "_xsrf": "from-elsewhere"}
    answer = victim.submit("hub/login", form)
    assert answer.status_code == 403
    assert login_error(answer) != ""
    assert victim.go("hub/home").url.path.endswith("/hub/login")
