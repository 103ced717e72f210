"""Every refusal: one plain sentence, the same on the page and in the log, and nothing left behind.

That nothing is left behind is compared after each test by the fixture `nothing_left_behind`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from tests.system.accounts import Account, Accounts, changed, replaced_file, unknown
from tests.system.browserless import Browserless, login_error, text_of
from tests.system.database import known_users
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.logs import HubLog, SudoLog, is_sudo_rs
from tests.system.servers import without_sockets
from tests.system.service import AUTHENTICATE, MEDIATOR, MEDIATOR_TOML, SUDOERS, options
from tests.system.sessions import session_with
from tests.system.test_mediator import begin, end

WRONG = (
    "Wrong user name or password. If you are sure of both, your account may be locked: "
    "ask your administrator."
)
SUDO_REFUSED = (
    "The hub is not allowed to start servers on this machine: "
    "ask your administrator to run `unixspawner doctor`."
)
SESSION_FAILED = (
    "Your session on this machine could not be opened: ask your administrator to look at the "
    "session modules of PAM."
)
MEDIATOR_MISSING = (
    "A program of this service is missing or cannot run: ask your administrator to run `./install` "
    "again."
)
HUB_ACCOUNT_UNUSABLE = (
    "The account of this service is locked or has expired: ask your administrator to run "
    "`unixspawner doctor`."
)
BAD_CONFIGURATION = (
    "This service is not configured correctly: ask your administrator to run `unixspawner doctor`."
)
PASSWORDS_UNAVAILABLE = (
    "Passwords cannot be checked at the moment: ask your administrator to run `unixspawner doctor`."
)
PROGRAM_MISSING = (
    "The server's program could not be started: ask your administrator to run `unixspawner doctor`."
)

Trouble = Callable[[Host, Account], AbstractContextManager[None]]


@dataclass(frozen=True)
class Refusal:
    """What is wrong with bob, and what he is told."""

    name: str
    trouble: Trouble
    sentence: str


def _shell(host: Host, bob: Account) -> AbstractContextManager[None]:
    change = ("usermod", "-s", "/usr/sbin/nologin", bob.name)
    return changed(host, change, ("usermod", "-s", "/bin/bash", bob.name))


def _locked(host: Host, bob: Account) -> AbstractContextManager[None]:
    return changed(host, ("usermod", "-L", bob.name), ("usermod", "-U", bob.name))


def _expired(host: Host, bob: Account) -> AbstractContextManager[None]:
    return changed(host, ("chage", "-E", "0", bob.name), ("chage", "-E", "-1", bob.name))


def _password_expired(host: Host, bob: Account) -> AbstractContextManager[None]:
    today = host.run("date", "+%F").out.strip()
    return changed(host, ("chage", "-d", "0", bob.name), ("chage", "-d", today, bob.name))


def _not_a_member(host: Host, bob: Account) -> AbstractContextManager[None]:
    group = options(host).users_group
    leave, join = ("gpasswd", "-d", bob.name, group), ("usermod", "-aG", group, bob.name)
    return changed(host, leave, join)


def _no_checking_account(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return unknown(host, options(host).pam_account)


def _checking_account_without_hashes(host: Host, _bob: Account) -> AbstractContextManager[None]:
    account = options(host).pam_account
    leave, join = ("gpasswd", "-d", account, "shadow"), ("usermod", "-aG", "shadow", account)
    return changed(host, leave, join)


def _authenticate_not_executable(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return changed(host, ("chmod", "644", AUTHENTICATE), ("chmod", "755", AUTHENTICATE))


def _no_sudo_rule(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return replaced_file(host, SUDOERS, None)


def _broken_sudo_rule(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return replaced_file(host, SUDOERS, "this is no rule\n")


@contextmanager
def _mediator_toml(host: Host, command: str) -> Iterator[None]:
    lines = host.run("cat", MEDIATOR_TOML).out.splitlines()
    kept = [line for line in lines if not line.startswith("command")]
    with replaced_file(host, MEDIATOR_TOML, "\n".join([*kept, f"command = {command}", ""])):
        yield


def _program_missing(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return _mediator_toml(host, '["/usr/local/libexec/unixspawner/no-such-program"]')


def _program_dies(host: Host, _bob: Account) -> AbstractContextManager[None]:
    script = "echo one >&2; echo the last words of the server >&2; exit 3"
    return _mediator_toml(host, f'["/bin/sh", "-c", "{script}"]')


def _mediator_toml_broken(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return replaced_file(host, MEDIATOR_TOML, "surprise = 1\n")


def _mediator_toml_of_another(host: Host, bob: Account) -> AbstractContextManager[None]:
    return changed(host, ("chown", bob.name, MEDIATOR_TOML), ("chown", "root", MEDIATOR_TOML))


def _mediator_toml_writable(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return changed(host, ("chmod", "666", MEDIATOR_TOML), ("chmod", "644", MEDIATOR_TOML))


def _session_fails(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return session_with(host, "session required pam_exec.so quiet /bin/false")


def _session_module_missing(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return session_with(host, "session required pam_no_such_module.so")


def _mediator_missing(host: Host, _bob: Account) -> AbstractContextManager[None]:
    away = "/usr/local/libexec/unixspawner-test.mediator"
    return changed(host, ("mv", MEDIATOR, away), ("mv", away, MEDIATOR))


def _mediator_not_executable(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return changed(host, ("chmod", "644", MEDIATOR), ("chmod", "755", MEDIATOR))


@contextmanager
def _no_process_allowed(host: Host, bob: Account) -> Iterator[None]:
    """The kernel counts those that are there when sudo becomes the person."""
    one = begin(host, bob.name)
    path = "/etc/security/limits.d/unixspawner-test.conf"
    host.run("install", "-m", "0644", "/dev/stdin", path, stdin="bob hard nproc 0\n")
    try:
        yield
    finally:
        host.run("rm", path)
        end(host, one)


AT_SIGN_IN = [
    Refusal("locked", _locked, WRONG),
    Refusal(
        "expired", _expired, "Your account has expired or is disabled: ask your administrator."
    ),
    Refusal(
        "password expired",
        _password_expired,
        "Your password has expired: change it with ssh or passwd, then sign in again.",
    ),
    Refusal(
        "no login shell",
        _shell,
        "The account bob may not log in on this machine (its shell is /usr/sbin/nologin): "
        "ask your administrator.",
    ),
    Refusal(
        "not a member",
        _not_a_member,
        "bob is not a member of the group jupyterhub-users: ask your "
        "administrator to run `usermod -aG jupyterhub-users bob`.",
    ),
    # the service's own: none of them is about passwords
    Refusal("no sudo rule", _no_sudo_rule, SUDO_REFUSED),
    Refusal("mediator.toml broken", _mediator_toml_broken, BAD_CONFIGURATION),
    Refusal("authenticate not executable", _authenticate_not_executable, MEDIATOR_MISSING),
    Refusal("no checking account", _no_checking_account, PASSWORDS_UNAVAILABLE),
    Refusal(
        "a checking account without hashes",
        _checking_account_without_hashes,
        PASSWORDS_UNAVAILABLE,
    ),
]
AT_START = [
    Refusal("no sudo rule", _no_sudo_rule, SUDO_REFUSED),
    Refusal("broken sudo rule", _broken_sudo_rule, SUDO_REFUSED),
    Refusal("program missing", _program_missing, PROGRAM_MISSING),
    Refusal("program dies", _program_dies, "the last words of the server"),
    Refusal(
        "mediator.toml broken",
        _mediator_toml_broken,
        BAD_CONFIGURATION,
    ),
    Refusal("mediator.toml of another", _mediator_toml_of_another, BAD_CONFIGURATION),
    Refusal("mediator.toml writable", _mediator_toml_writable, BAD_CONFIGURATION),
    Refusal("a session module fails", _session_fails, SESSION_FAILED),
    Refusal("a session module is missing", _session_module_missing, SESSION_FAILED),
    Refusal("mediator missing", _mediator_missing, MEDIATOR_MISSING),
    Refusal("mediator not executable", _mediator_not_executable, MEDIATOR_MISSING),
    Refusal(
        "too many processes",
        _no_process_allowed,
        "You run as many processes as you may already: end some of them, "
        "or ask your administrator.",
    ),
    Refusal(
        "no directory for sockets",
        lambda host, _bob: without_sockets(host),
        "The service cannot make a socket for your server: ask your administrator to run "
        "`unixspawner doctor`.",
    ),
]


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


def spawn_answer(person: Browserless) -> httpx.Response:
    """Ask for a server; where that takes longer, wait for it to fail and look at its page."""
    answer = person.go("hub/spawn/bob")
    if "/hub/spawn-pending/" in answer.url.path:
        assert [event.failed for event in person.progress("bob")][-1:] in ([True], [])
        answer = person.go("hub/spawn-pending/bob")
    return answer


@pytest.mark.promise(4)
@pytest.mark.parametrize("refusal", AT_START, ids=names(AT_START))
def test_refused_at_start(
    host: Host, accounts: Accounts, browser: OpenBrowser, hub_log: HubLog, refusal: Refusal
) -> None:
    bob = browser()
    bob.sign_in_only(accounts.bob)
    with refusal.trouble(host, accounts.bob):
        answer = spawn_answer(bob)
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


@pytest.mark.parametrize("refusal", AT_START, ids=names(AT_START))
def test_once_the_trouble_is_over_the_same_person_is_served(
    host: Host, accounts: Accounts, browser: OpenBrowser, refusal: Refusal
) -> None:
    bob = browser()
    bob.sign_in_only(accounts.bob)
    with refusal.trouble(host, accounts.bob):
        assert spawn_answer(bob).status_code in (403, 500)
    assert '<span id="name">bob</span>' in bob.start("bob").text


def test_where_no_password_can_be_checked_nobody_learns_which_accounts_there_are(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    tries = (("bob", accounts.bob.password), ("bob", "wrong"), ("nobody-of-that-name", "wrong"))
    with _checking_account_without_hashes(host, accounts.bob):
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
        page = spawn_answer(bob)
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
