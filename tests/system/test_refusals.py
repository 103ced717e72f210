"""Every refusal: one plain sentence, the same on the page and in the log, and nothing left behind.

That nothing is left behind is compared after each test by the fixture `nothing_left_behind`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from tests.system.accounts import Accounts, changed
from tests.system.applications import ask, shelf
from tests.system.browserless import Browserless, login_error, text_of
from tests.system.database import known_users
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.logs import HubLog, SudoLog, is_sudo_rs
from tests.system.people import servers_of
from tests.system.service import options
from tests.system.troubles import (
    AT_SIGN_IN,
    AT_START,
    HUB_ACCOUNT_UNUSABLE,
    PASSWORDS_UNAVAILABLE,
    TOO_MANY_PROCESSES,
    WRONG,
    Refusal,
    checking_account_without_hashes,
    no_process_allowed,
    sudo_passes_over_bounds,
)


def names(refusals: list[Refusal]) -> list[str]:
    return [refusal.name for refusal in refusals]


def assert_not_signed_in(person: Browserless) -> None:
    assert person.go("hub/home").url.path.endswith("/hub/login")


def test_a_wrong_password_is_refused_in_one_sentence(
    accounts: Accounts, browser: OpenBrowser, hub_log: HubLog, sudo_calls: SudoLog
) -> None:
    bob = browser()
    answer = bob.submit_sign_in("bob", accounts.alice.password)
    assert answer.status_code == 403
    assert login_error(answer) == WRONG
    hub_log.wait_for(WRONG)
    assert sudo_calls.mediator_calls() == []
    assert_not_signed_in(bob)


def test_an_unknown_name_gets_the_same_sentence_as_a_wrong_password(
    host: Host, browser: OpenBrowser, hub_log: HubLog
) -> None:
    answer = browser().submit_sign_in("nobody-of-that-name", "x")
    assert (answer.status_code, login_error(answer)) == (403, WRONG)
    hub_log.wait_for(WRONG)
    assert "nobody-of-that-name" not in known_users(host)


@pytest.mark.promise(4)
def test_somebody_outside_of_the_group_is_told_what_to_ask_for(
    host: Host,
    accounts: Accounts,
    browser: OpenBrowser,
    hub_log: HubLog,
    sudo_calls: SudoLog,
    administrator: Browserless,
) -> None:
    administrator.go("hub/home")
    administrator.fetch("DELETE", "hub/api/users/mallory")  # where other tests have let mallory in
    mallory = browser()
    answer = mallory.submit_sign_in("mallory", accounts.mallory.password)
    group = options(host).users_group
    sentence = (
        f"mallory is not a member of the group {group}: "
        f"ask your administrator to run `usermod -aG {group} mallory`."
    )
    assert (answer.status_code, login_error(answer)) == (403, sentence)
    hub_log.wait_for(sentence)
    assert sudo_calls.mediator_calls() == []
    assert "mallory" not in known_users(host)
    assert_not_signed_in(mallory)


def test_somebody_outside_of_the_group_learns_nothing_without_the_password(
    browser: OpenBrowser,
) -> None:
    assert login_error(browser().submit_sign_in("mallory", "wrong")) == WRONG


@pytest.mark.promise(4)
@pytest.mark.parametrize("refusal", AT_SIGN_IN, ids=names(AT_SIGN_IN))
def test_refused_at_sign_in(
    host: Host,
    accounts: Accounts,
    browser: OpenBrowser,
    hub_log: HubLog,
    sudo_calls: SudoLog,
    refusal: Refusal,
) -> None:
    bob = browser()
    with refusal.trouble(host, accounts.bob):
        answer = bob.submit_sign_in("bob", accounts.bob.password)
    assert (answer.status_code, login_error(answer)) == (403, refusal.sentence)
    hub_log.wait_for(refusal.sentence)
    assert sudo_calls.mediator_calls() == []
    assert_not_signed_in(bob)


@pytest.mark.promise(4)
@pytest.mark.parametrize("refusal", AT_START, ids=names(AT_START))
def test_refused_at_start(
    host: Host, accounts: Accounts, browser: OpenBrowser, hub_log: HubLog, refusal: Refusal
) -> None:
    bob = browser()
    bob.sign_in_only(accounts.bob)
    with refusal.trouble(host, accounts.bob):
        answer = bob.start_in_vain("bob")
    assert answer.status_code in (403, 500)
    assert refusal.sentence in text_of(answer.text)
    hub_log.wait_for(refusal.sentence)


@pytest.mark.promise(4)
@pytest.mark.parametrize("refusal", AT_START, ids=names(AT_START))
def test_the_api_gives_the_same_sentence(
    host: Host, accounts: Accounts, browser: OpenBrowser, hub_log: HubLog, refusal: Refusal
) -> None:
    bob = browser()
    bob.sign_in_only(accounts.bob)
    with refusal.trouble(host, accounts.bob):
        answer = bob.fetch("POST", "hub/api/users/bob/server")
        if answer.status_code == 202:  # it takes longer
            events = list(bob.progress("bob"))
            assert events[-1].failed
            assert refusal.sentence in events[-1].message
            return
    assert answer.status_code in (403, 500)
    assert refusal.sentence in answer.json()["message"], hub_log.text()


@pytest.mark.promise(4)
def test_where_sudo_passes_over_a_bound_on_processes_it_is_said_of_applications(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    if not sudo_passes_over_bounds(host):
        pytest.skip("the server itself is refused here")
    with shelf(host) as apps, apps.program("lab"):
        alice = browser()
        with no_process_allowed(host, accounts.alice):
            assert '<span id="name">alice</span>' in alice.sign_in(accounts.alice).text
            assert TOO_MANY_PROCESSES in text_of(ask(alice, "alice", "lab/").text)


def test_a_server_that_may_begin_no_process_any_more_goes_on_and_says_so(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """Its first page as well, which looks at the account, the home and the hub."""
    alice = browser()
    alice.sign_in_only(accounts.alice)
    alice.fetch("POST", "hub/api/users/alice/server")
    assert [event.ready for event in alice.progress("alice")][-1]
    (server,) = servers_of(host, "alice")
    bound = ("prlimit", f"--pid={server.pid}", "--nproc=0")
    with shelf(host) as apps, apps.program("lab"):
        host.run("runuser", "-u", "alice", "--", *bound)
        assert '<span id="name">alice</span>' in alice.go("user/alice/").text
        assert TOO_MANY_PROCESSES in text_of(ask(alice, "alice", "lab/").text)


@pytest.mark.parametrize("refusal", AT_START, ids=names(AT_START))
def test_once_the_trouble_is_over_the_same_person_is_served(
    host: Host, accounts: Accounts, browser: OpenBrowser, refusal: Refusal
) -> None:
    bob = browser()
    bob.sign_in_only(accounts.bob)
    with refusal.trouble(host, accounts.bob):
        assert bob.start_in_vain("bob").status_code in (403, 500)
    assert '<span id="name">bob</span>' in bob.start("bob").text


def test_where_no_password_can_be_checked_nobody_learns_which_accounts_there_are(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    tries = (("bob", accounts.bob.password), ("bob", "wrong"), ("nobody-of-that-name", "wrong"))
    with checking_account_without_hashes(host, accounts.bob):
        said = [login_error(browser().submit_sign_in(*each)) for each in tries]
    assert said == 3 * [PASSWORDS_UNAVAILABLE]


def expired_hub_account(host: Host) -> AbstractContextManager[None]:
    account = options(host).hub_account
    return changed(host, ("chage", "-E", "0", account), ("chage", "-E", "-1", account))


def locked_hub_account(host: Host) -> AbstractContextManager[None]:
    """Put back with the file: an account that never had a password cannot be unlocked."""
    path, kept = "/etc/shadow", "/etc/shadow.unixspawner-test"
    host.run("cp", "-a", path, kept)
    return changed(host, ("usermod", "-L", options(host).hub_account), ("mv", kept, path))


def test_a_lock_of_the_hubs_account_keeps_nobody_out(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """It has no password that could be locked, and sudo asks for none."""
    with locked_hub_account(host):
        assert '<span id="name">bob</span>' in browser().sign_in(accounts.bob).text


def test_an_expired_account_of_the_hub_keeps_nobody_out_or_is_said(
    host: Host, accounts: Accounts, browser: OpenBrowser, hub_log: HubLog
) -> None:
    """sudo asks our own service of PAM, which does not mind; sudo-rs asks the machine's."""
    bob = browser()
    bob.sign_in_only(accounts.bob)
    with expired_hub_account(host):
        if not is_sudo_rs(host):
            assert '<span id="name">bob</span>' in browser().sign_in(accounts.bob).text
            return
        answer = browser().submit_sign_in("bob", accounts.bob.password)
        assert (answer.status_code, login_error(answer)) == (403, HUB_ACCOUNT_UNUSABLE)
        hub_log.wait_for(HUB_ACCOUNT_UNUSABLE)
        page = bob.start_in_vain("bob")
    assert page.status_code in (403, 500)
    assert HUB_ACCOUNT_UNUSABLE in text_of(page.text)


def test_a_home_that_cannot_be_written_still_gets_a_server(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    mode = host.run("stat", "-c", "%a", accounts.bob.home).out.strip()
    host.run("rm", "-rf", f"{accounts.bob.home}/.local")
    change, restore = ("chmod", "555", accounts.bob.home), ("chmod", mode, accounts.bob.home)
    person = browser()
    with changed(host, change, restore):
        sentence = "Nothing can be written to your home directory /home/bob (Permission denied)"
        assert sentence in text_of(person.sign_in(accounts.bob).text)
        assert '<span id="name">bob</span>' in person.go("user/bob/").text
