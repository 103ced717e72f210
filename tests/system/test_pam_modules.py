"""Modules that labs put into PAM, at sign-in on the installed service. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system import command
from tests.system.accounts import Account, Accounts, replaced_file
from tests.system.browserless import Browserless
from tests.system.command import Finding
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.service import has_systemd

SIGN_IN = "/etc/pam.d/unixspawner"
TALLIES = "/var/tmp/unixspawner-test.faillock"
RULES = "/etc/tmpfiles.d/unixspawner-faillock.conf"
FAILLOCK = f"""
auth required pam_faillock.so preauth dir={TALLIES} deny=3 unlock_time=600
auth [success=2 default=ignore] pam_unix.so
auth [default=die] pam_faillock.so authfail dir={TALLIES} deny=3 unlock_time=600
auth requisite pam_deny.so
auth required pam_faillock.so authsucc dir={TALLIES} deny=3
account required pam_nologin.so
account include common-account
"""
WRONG = "Wrong user name or password."


def refusal(person: Browserless, name: str, password: str) -> str:
    return person.submit_sign_in(name, password).text


def is_let_in(person: Browserless, account: Account) -> bool:
    return "/hub/login" not in str(person.submit_sign_in(account.name, account.password).url)


def lockouts(host: Host) -> list[Finding]:
    return [each for each in command.findings(host) if "wrong passwords" in each.text]


@pytest.fixture
def faillock(host: Host) -> Iterator[Finding]:
    """pam_faillock at sign-in, as its manual has it. What the doctor says of it."""
    if not has_systemd(host):
        pytest.skip("the cure is for systemd-tmpfiles")
    host.run("install", "-d", "-m", "0755", TALLIES)
    try:
        with replaced_file(host, SIGN_IN, FAILLOCK):
            (finding,) = lockouts(host)
            yield finding
    finally:
        host.run("rm", "-rf", TALLIES, RULES)


def test_wrong_passwords_are_counted_once_the_doctors_cure_is_in_place(
    host: Host, accounts: Accounts, browser: OpenBrowser, faillock: Finding
) -> None:
    person = browser()
    assert faillock.level == "failure"
    host.run("sh", "-c", faillock.cure)
    assert [each.level for each in lockouts(host)] == ["ok"]
    for _ in range(3):
        assert WRONG in refusal(person, "alice", "wrong")
    assert WRONG in refusal(person, "alice", accounts.alice.password)
    host.run("faillock", "--dir", TALLIES, "--user", "alice", "--reset")
    assert is_let_in(person, accounts.alice)


def test_pam_access_decides_who_may_sign_in(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """With the right password alone one is told so."""
    text = host.run("cat", SIGN_IN).out
    rules = "/var/tmp/unixspawner-test.access"
    host.run("install", "-m", "0644", "/dev/stdin", rules, stdin="- : alice : ALL\n")
    line = f"account required pam_access.so accessfile={rules}"
    try:
        with replaced_file(host, SIGN_IN, f"{line}\n{text}"):
            person = browser()
            assert WRONG in refusal(person, "alice", "wrong")
            told = refusal(person, "alice", accounts.alice.password)
            assert "This machine does not let you sign in now: ask your administrator." in told
            assert is_let_in(browser(), accounts.bob)
    finally:
        host.run("rm", "-f", rules)
