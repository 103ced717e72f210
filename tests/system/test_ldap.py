"""People of a real LDAP directory, through a real SSSD: in, out, and while either is away.

What the service does when a name service is silent is in test_name_service.py, with stand-ins;
here it meets Debian's packages, with the PAM stack and the nsswitch.conf that they make.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.system.accounts import Account, Accounts, processes
from tests.system.audit_lines import AuditLines
from tests.system.browserless import login_error
from tests.system.database import query
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.ldap import OTHER_GROUP, Ldap, directory_of, may_install
from tests.system.live import (
    assert_is_in,
    assert_is_out,
    number_of_tokens,
    seconds_until_gone,
    seconds_until_out,
)
from tests.system.logs import HubLog
from tests.system.people import server_of
from tests.system.service import options
from tests.system.test_name_service import CANNOT_TELL_LINE, WRONG_OR_UNKNOWN, wait_for_looks
from tests.system.troubles import WRONG
from tests.system.visits import token_of

PAGE = '<span id="name">mallory</span>'
LEFT = "event=revoke who=unixspawner whom=mallory outcome=ok reason=left-group"


@pytest.fixture(scope="module")
def directory(host: Host, accounts: Accounts) -> Iterator[Ldap]:
    """mallory's account, in LDAP alone, and there the group of those who may use the service."""
    if not may_install(host):
        pytest.skip("slapd and SSSD are installed for it, on machines that are there for tests")
    with directory_of(host, accounts.mallory, options(host).users_group) as directory:
        yield directory


@pytest.fixture
def mallory(host: Host, directory: Ldap) -> Iterator[Account]:
    """A member, until the end of the test: then the hub has noticed, before the next one begins."""
    group = options(host).users_group
    directory.join(group)
    yield directory.person
    if group in directory.groups():
        directory.leave(group)
    wait_for("the end of what the hub holds of her", lambda: has_nothing_to_lose(host))


@pytest.fixture
def audit(hub_log: HubLog) -> AuditLines:
    return AuditLines(hub_log)


def revokes(audit: AuditLines) -> list[str]:
    return [line for line in audit.all() if "event=revoke" in line]


def has_nothing_to_lose(host: Host) -> bool:
    """No session and no token."""
    sessions = "SELECT 1 FROM users WHERE name = 'mallory' AND cookie_id LIKE '%:%'"
    return query(host, sessions) == [] and number_of_tokens(host, "mallory") == 0


def test_somebody_who_is_in_ldap_alone_is_served(
    host: Host, directory: Ldap, mallory: Account, browser: OpenBrowser
) -> None:
    """Account, password and groups are the directory's, one of them a group of this machine too."""
    for database in ("passwd", "shadow"):
        local = host.run("getent", "-s", "files", database, "mallory", check=False)
        assert (local.status, local.out) == (2, "")
    person = browser()
    assert PAGE in person.sign_in(mallory).text
    told = person.fetch("GET", "user/mallory/whoami").json()
    groups = {"mallory", OTHER_GROUP, options(host).users_group}
    assert (told["uid"], told["gid"], set(told["groups"])) == (mallory.uid, directory.gid, groups)
    server = server_of(host, "mallory")
    assert set(server.uids) == {mallory.uid}
    assert set(server.gids) == {directory.gid}
    assert len(server.groups) == len(groups)


def test_a_wrong_password_is_refused(
    host: Host, mallory: Account, browser: OpenBrowser, audit: AuditLines
) -> None:
    answer = browser().submit_sign_in("mallory", "wrong")
    assert (answer.status_code, login_error(answer)) == (403, WRONG)
    assert processes(host, str(mallory.uid)) == []


def test_somebody_outside_of_the_group_is_refused(
    host: Host, directory: Ldap, browser: OpenBrowser
) -> None:
    """Told to somebody with the right password alone."""
    person, group = directory.person, options(host).users_group
    assert set(directory.groups()) == {"mallory", OTHER_GROUP}
    answer = browser().submit_sign_in("mallory", "wrong")
    assert (answer.status_code, login_error(answer)) == (403, WRONG)
    answer = browser().submit_sign_in("mallory", person.password)
    assert answer.status_code == 403
    assert login_error(answer).startswith(f"mallory is not a member of the group {group}: ")
    assert processes(host, str(person.uid)) == []


def test_who_leaves_the_directorys_group_is_put_out(
    host: Host, directory: Ldap, mallory: Account, browser: OpenBrowser, audit: AuditLines
) -> None:
    """The promised time begins when SSSD says so."""
    person = browser()
    person.sign_in(mallory)
    token = token_of(person, "mallory")
    server = server_of(host, "mallory")
    assert_is_in(host, person, server, token)
    wait_for_looks()
    begun = time.monotonic()
    directory.leave(options(host).users_group)
    noticed = time.monotonic()
    seconds_until_gone(host, [server], noticed)
    taken = seconds_until_out(host, person, token, [server], noticed)
    print(f"\nSSSD: {noticed - begun:.1f} s, the service after that: {taken:.1f} s", flush=True)
    assert_is_out(host, person, "mallory", token)
    audit.wait_for(LEFT)


def test_while_ldap_is_down_sssd_answers_for_it(
    host: Host, directory: Ldap, mallory: Account, browser: OpenBrowser, audit: AuditLines
) -> None:
    """Who is in stays, and who has signed in before can again: SSSD keeps a hash of passwords."""
    person = browser()
    person.sign_in(mallory)
    token = token_of(person, "mallory")
    server = server_of(host, "mallory")
    with directory.away():
        wait_for_looks()
        assert_is_in(host, person, server, token)
        answer = browser().submit_sign_in("mallory", "wrong")
        assert (answer.status_code, login_error(answer)) == (403, WRONG)
        assert PAGE in browser().sign_in(mallory).text
        assert_is_in(host, person, server, token)
    assert revokes(audit) == []
    directory.leave(options(host).users_group)
    seconds_until_gone(host, [server], time.monotonic())
    audit.wait_for(LEFT)


def test_while_ldap_is_down_a_password_that_sssd_has_not_kept_is_refused(
    directory: Ldap, mallory: Account, browser: OpenBrowser, audit: AuditLines
) -> None:
    """Debian's stack tells nobody why: whatever pam_sss says, the next module says no."""
    directory.let_sssd_forget()
    wait_for("the account", directory.knows_the_person)
    with directory.away():
        answer = browser().submit_sign_in("mallory", mallory.password)
        assert (answer.status_code, login_error(answer)) == (403, WRONG)
    assert PAGE in browser().sign_in(mallory).text


def test_an_sssd_that_has_forgotten_everybody_while_ldap_is_down_says_no(
    host: Host, directory: Ldap, mallory: Account, browser: OpenBrowser, audit: AuditLines
) -> None:
    """Nobody can tell that from a true no: the administrators' page warns of it."""
    person = browser()
    person.sign_in(mallory)
    server = server_of(host, "mallory")
    with directory.away():
        directory.let_sssd_forget()
        seconds_until_gone(host, [server], time.monotonic())
        wait_for("the audit line", lambda: revokes(audit) != [])
    print(f"\n{revokes(audit)}", flush=True)


def test_while_sssd_is_down_nobody_is_put_out_and_nobody_comes_in(
    host: Host,
    accounts: Accounts,
    directory: Ldap,
    mallory: Account,
    browser: OpenBrowser,
    hub_log: HubLog,
    audit: AuditLines,
) -> None:
    """The directory is down, too. People of the machine's own files come in as always."""
    person = browser()
    person.sign_in(mallory)
    token = token_of(person, "mallory")
    server = server_of(host, "mallory")
    wait_for_looks()  # so that it is known who vouches for whom
    with directory.away(), directory.sssd.stopped():
        hub_log.wait_for(CANNOT_TELL_LINE)
        wait_for_looks()
        assert_is_in(host, person, server, token)
        answer = browser().submit_sign_in("mallory", mallory.password)
        assert (answer.status_code, login_error(answer)) == (403, WRONG_OR_UNKNOWN)
        browser().sign_in(accounts.alice)
        assert_is_in(host, person, server, token)
    hub_log.wait_for("The name service answers again")
    wait_for_looks()
    assert_is_in(host, person, server, token)
    assert revokes(audit) == []
