"""What can be wrong with somebody or with the service, and the sentence that it gets.

Each trouble is there for the length of a `with`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from tests.system.accounts import Account, changed, replaced_file, unknown
from tests.system.host import Host
from tests.system.limits import bound_on_processes
from tests.system.live import expired, locked, out_of_the_group
from tests.system.logs import is_sudo_rs
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
TOO_MANY_PROCESSES = (
    "You run as many processes as you may already: end some of them, or ask your administrator."
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


def _password_expired(host: Host, bob: Account) -> AbstractContextManager[None]:
    today = host.run("date", "+%F").out.strip()
    return changed(host, ("chage", "-d", "0", bob.name), ("chage", "-d", today, bob.name))


def _no_checking_account(host: Host, _bob: Account) -> AbstractContextManager[None]:
    return unknown(host, options(host).pam_account)


def checking_account_without_hashes(host: Host, _bob: Account) -> AbstractContextManager[None]:
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
def no_process_allowed(host: Host, person: Account) -> Iterator[None]:
    """The kernel counts those that are there when sudo becomes the person."""
    one = begin(host, person.name)
    try:
        with bound_on_processes(host, person.name, 0):
            yield
    finally:
        end(host, one)


_CAP_SYS_RESOURCE = 1 << 24  # linux/capability.h


def sudo_passes_over_bounds(host: Host) -> bool:
    """Whether sudo lifts a bound on processes while it becomes the person, which sudo-rs does not.

    The kernel then looks again when the person's program begins a process of its own.
    """
    if is_sudo_rs(host):
        return False
    status = host.run("cat", "/proc/self/status").out
    (bounding,) = (line.split()[1] for line in status.splitlines() if line.startswith("CapBnd"))
    return bool(int(bounding, 16) & _CAP_SYS_RESOURCE)


def _no_process_for_the_server(host: Host, bob: Account) -> AbstractContextManager[None]:
    if sudo_passes_over_bounds(host):
        pytest.skip("the server starts, and its applications are refused, which has its own test")
    return no_process_allowed(host, bob)


AT_SIGN_IN = [
    Refusal("locked", locked, WRONG),
    Refusal("expired", expired, "Your account has expired or is disabled: ask your administrator."),
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
        out_of_the_group,
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
        checking_account_without_hashes,
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
        _no_process_for_the_server,
        TOO_MANY_PROCESSES,
    ),
    Refusal(
        "no directory for sockets",
        lambda host, _bob: without_sockets(host),
        "The service cannot make a socket for your server: ask your administrator to run "
        "`unixspawner doctor`.",
    ),
]
