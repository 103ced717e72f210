"""A name service that is down or hangs revokes nobody and admits nobody.

Real services: libnss-extrausers, whose files are taken away, and SSSD's client without a daemon or
with one that never answers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.system.accounts import Accounts, processes
from tests.system.audit_lines import AuditLines
from tests.system.browserless import login_error, text_of
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.live import (
    PROMISE,
    assert_is_in,
    assert_is_out,
    out_of_the_group,
    seconds_until_gone,
)
from tests.system.logs import HubLog
from tests.system.name_services import Directory, directory_with, hanging_sssd, sssd_client
from tests.system.people import server_of
from tests.system.remote import RemoteHost
from tests.system.service import options, service_command
from tests.system.visits import token_of

CANNOT_TELL = (
    "This machine cannot tell at the moment whether {} may use this service: "
    "try again later or ask your administrator."
)
WRONG_OR_UNKNOWN = (
    "Wrong user name or password, or this machine cannot look up your account at the moment: "
    "try again, and if it stays, ask your administrator."
)
CANNOT_TELL_LINE = "Cannot tell whether 1 people may still be here, who stay for now"
LOOKS = 3  # of the watch: so often it must have found nothing to do


@pytest.fixture
def directory(host: Host, accounts: Accounts) -> Iterator[Directory]:
    """mallory, a member, account and group in another service than the machine's files."""
    with directory_with(host, accounts.mallory, options(host).users_group) as directory:
        yield directory


@pytest.fixture
def audit(hub_log: HubLog) -> AuditLines:
    return AuditLines(hub_log)


def wait_for_looks() -> None:
    """Until the watch has looked a few times; it says nothing when it has nothing to do."""
    time.sleep(3.0 * LOOKS + 1)


def test_somebody_in_a_directory_is_served_and_put_out_like_everybody(
    host: Host, directory: Directory, browser: OpenBrowser, audit: AuditLines
) -> None:
    mallory = browser()
    mallory.sign_in(directory.person)
    token = token_of(mallory, "mallory")
    server = server_of(host, "mallory")
    assert_is_in(host, mallory, server, token)
    begun = time.monotonic()
    directory.put_out(options(host).users_group)
    taken = seconds_until_gone(host, [server], begun)
    print(f"\nput out in the directory: {taken:.1f} s", flush=True)
    audit.wait_for("event=stop who=unixspawner whom=mallory outcome=ok")
    assert_is_out(host, mallory, "mallory", token)
    assert "event=revoke who=unixspawner whom=mallory outcome=ok reason=left-group" in audit.all()


def test_an_administrator_by_the_directory_is_one_as_long_as_it_says_so(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    users, admins = options(host).users_group, options(host).admins_group
    browser().sign_in_only(accounts.alice)
    with directory_with(host, accounts.mallory, users, admins) as directory:
        mallory = browser()
        mallory.sign_in_only(directory.person)
        assert mallory.fetch("GET", "hub/api/users/alice").json()["name"] == "alice"
        begun = time.monotonic()
        directory.put_out(admins)
        audit.wait_for("event=revoke who=unixspawner whom=mallory outcome=ok reason=left-admins")
        assert time.monotonic() - begun < PROMISE
        assert mallory.fetch("GET", "hub/api/users/alice").status_code == 404
        assert mallory.go("hub/home").url.path.endswith("/hub/home")
        directory.put_out(users)  # now, and not in the middle of the next test
        audit.wait_for("event=revoke who=unixspawner whom=mallory outcome=ok reason=left-group")


def test_a_directory_that_is_down_revokes_nobody(
    host: Host, directory: Directory, browser: OpenBrowser, hub_log: HubLog, audit: AuditLines
) -> None:
    mallory = browser()
    mallory.sign_in(directory.person)
    token = token_of(mallory, "mallory")
    server = server_of(host, "mallory")
    wait_for_looks()  # so that it is known who vouches for whom
    directory.down()
    hub_log.wait_for(CANNOT_TELL_LINE)
    wait_for_looks()
    assert_is_in(host, mallory, server, token)
    host.run(*service_command(host, "restart"), timeout=120)  # a hub that has never seen it up
    hub_log.wait_for("event=adopt who=unixspawner whom=mallory outcome=ok")
    wait_for_looks()
    assert_is_in(host, mallory, server, token)
    directory.up()
    hub_log.wait_for("The name service answers again")
    assert_is_in(host, mallory, server, token)
    assert [line for line in audit.all() if "event=revoke" in line] == []


def test_a_directory_that_is_down_admits_nobody(
    host: Host, directory: Directory, browser: OpenBrowser
) -> None:
    mallory = browser()
    mallory.sign_in_only(directory.person)
    directory.down()
    answer = mallory.start_in_vain("mallory")
    assert answer.status_code == 500  # nobody's decision
    assert CANNOT_TELL.format("mallory") in text_of(answer.text)
    answer = browser().submit_sign_in("mallory", directory.person.password)
    assert (answer.status_code, login_error(answer)) == (403, WRONG_OR_UNKNOWN)
    answer = browser().submit_sign_in("nobody-of-that-name", "x")
    assert (answer.status_code, login_error(answer)) == (403, WRONG_OR_UNKNOWN)
    assert processes(host, str(directory.person.uid)) == []
    directory.up()
    assert '<span id="name">mallory</span>' in browser().sign_in(directory.person).text


def test_a_member_by_the_directory_alone_is_told_that_it_cannot_be_told(
    host: Host, accounts: Accounts, directory: Directory, browser: OpenBrowser
) -> None:
    """An account of the machine's files, a password that is right, and a group out of reach."""
    directory.down()
    with out_of_the_group(host, accounts.alice):
        answer = browser().submit_sign_in("alice", accounts.alice.password)
        assert (answer.status_code, login_error(answer)) == (403, CANNOT_TELL.format("alice"))


def test_people_of_the_machines_files_come_and_go_while_a_directory_is_down(
    host: Host, accounts: Accounts, directory: Directory, browser: OpenBrowser
) -> None:
    directory.down()
    alice = browser()
    alice.sign_in(accounts.alice)
    token = token_of(alice, "alice")
    server = server_of(host, "alice")
    wait_for_looks()
    assert_is_in(host, alice, server, token)
    begun = time.monotonic()
    with out_of_the_group(host, accounts.alice):
        seconds_until_gone(host, [server], begun)
        assert_is_out(host, alice, "alice", token)


def test_without_its_daemon_sssd_revokes_nobody_and_protects_nobody(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    with sssd_client(host):
        alice, bob = browser(), browser()
        alice.sign_in(accounts.alice)
        bob.sign_in(accounts.bob)
        token = token_of(bob, "bob")
        leaving, staying = server_of(host, "alice"), server_of(host, "bob")
        wait_for_looks()
        begun = time.monotonic()
        with out_of_the_group(host, accounts.alice):
            taken = seconds_until_gone(host, [leaving], begun)
            print(f"\nwhile sssd is down: {taken:.1f} s", flush=True)
            assert_is_in(host, bob, staying, token)


def test_a_service_that_hangs_revokes_nobody_and_admits_nobody(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    """The hub goes on answering; who is put out meanwhile is out, although sudo hangs as well."""
    if isinstance(host, RemoteHost):
        pytest.skip("sshd asks the service too: while it hangs nothing can be done on this machine")
    alice, bob = browser(), browser()
    alice.sign_in(accounts.alice)
    bob.sign_in(accounts.bob)
    tokens = {person: token_of(page, person) for person, page in (("alice", alice), ("bob", bob))}
    leaving, staying = server_of(host, "alice"), server_of(host, "bob")
    wait_for_looks()
    with sssd_client(host), hanging_sssd(host):
        begun = time.monotonic()
        answer = browser().submit_sign_in("alice", accounts.alice.password)
        assert (answer.status_code, login_error(answer)) == (403, CANNOT_TELL.format("alice"))
        assert time.monotonic() - begun < PROMISE
        wait_for_looks()
        assert_is_in(host, bob, staying, tokens["bob"])
        begun = time.monotonic()
        with out_of_the_group(host, accounts.alice):
            taken = seconds_until_gone(host, [leaving], begun)
            print(f"\nwhile sssd hangs: {taken:.1f} s", flush=True)
            assert_is_out(host, alice, "alice", tokens["alice"])
            assert_is_in(host, bob, staying, tokens["bob"])
    assert [line for line in audit.all() if "event=revoke" in line] == [
        "event=revoke who=unixspawner whom=alice outcome=ok reason=left-group"
    ]
    assert '<span id="name">alice</span>' in browser().sign_in(accounts.alice).text
