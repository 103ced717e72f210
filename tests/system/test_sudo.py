"""What the hub's account may do through sudo: three things, and nothing else.

Run as the hub's account, the way somebody would who has broken into the hub.
"""

from __future__ import annotations

import re

import pytest
from tests.system.accounts import Accounts
from tests.system.as_hub import (
    SUDO,
    Order,
    Outcome,
    ask_stop,
    authenticate,
    do,
    mediator,
    message,
)
from tests.system.host import Host
from tests.system.logs import is_sudo_rs
from tests.system.service import AUTHENTICATE, MEDIATOR, options
from tests.system.sessions import session_with

ALICE = (SUDO, "-n", "-u", "alice")
# Each of these was tried, and each must end without any of our programs having run.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "a program as root": (SUDO, "-n", "id"),
    "a shell as root": (SUDO, "-n", "-s"),
    "a login as root": (SUDO, "-n", "-i"),
    "a program as a member": (*ALICE, "id"),
    "a shell as a member": (*ALICE, "-s"),
    "a login as a member": (*ALICE, "-i"),
    "a shell's command as a member": (*ALICE, "/bin/sh", "-c", "id"),
    "python as a member": (*ALICE, "/usr/bin/python3", MEDIATOR, "start"),
    "the mediator without a verb": (*ALICE, MEDIATOR),
    "the mediator with another verb": (*ALICE, MEDIATOR, "restart"),
    "the mediator with two verbs": (*ALICE, MEDIATOR, "start", "stop"),
    "the mediator with an option": (*ALICE, MEDIATOR, "start", "--help"),
    "the mediator with an empty argument": (*ALICE, MEDIATOR, "start", ""),
    "the mediator with a verb in capitals": (*ALICE, MEDIATOR, "START"),
    "a look-alike of the mediator": (*ALICE, "/tmp/mediator", "start"),
    "start as root": (SUDO, "-n", MEDIATOR, "start"),
    "start as root by name": (SUDO, "-n", "-u", "root", MEDIATOR, "start"),
    "start as root by number": (SUDO, "-n", "-u", "#0", MEDIATOR, "start"),
    "start as -1": (SUDO, "-n", "-u", "#-1", MEDIATOR, "start"),
    "start as 2^32-1": (SUDO, "-n", "-u", "#4294967295", MEDIATOR, "start"),
    "start as somebody outside of the group": mediator("start", "mallory"),
    "start as a service": mediator("start", "daemon"),
    "start with a group": mediator("start", "alice", "-g", "root"),
    "start with the shadow group": mediator("start", "alice", "-g", "shadow"),
    "start as a number without a name": (SUDO, "-n", "-u", "#4242424", MEDIATOR, "start"),
    "a program as a number without a name": (SUDO, "-n", "-u", "#4242424", "id"),
    "authenticate as a number without a name": (SUDO, "-n", "-u", "#4242424", AUTHENTICATE),
    "stop as a number without a name, with a group": mediator("stop", "#4242424", "-g", "root"),
    "stop as root": (SUDO, "-n", MEDIATOR, "stop"),
    "stop as root by number": (SUDO, "-n", "-u", "#0", MEDIATOR, "stop"),
    "stop as -1": (SUDO, "-n", "-u", "#-1", MEDIATOR, "stop"),
    "stop with a group": mediator("stop", "alice", "-g", "root"),
    "authenticate as root": (SUDO, "-n", AUTHENTICATE),
    "authenticate as a member": (*ALICE, AUTHENTICATE),
    "authenticate with an argument": (SUDO, "-n", "-u", "jupyterhub-pam", AUTHENTICATE, "alice"),
    "a program as the checking account": (SUDO, "-n", "-u", "jupyterhub-pam", "id"),
    "the shadow file": (SUDO, "-n", "-u", "jupyterhub-pam", "/bin/cat", "/etc/shadow"),
    "another variable": (*ALICE, "LD_PRELOAD=/tmp/x.so", MEDIATOR, "start"),
    "a harmless variable": (*ALICE, "UNIXSPAWNER=1", MEDIATOR, "start"),
    "the whole environment": mediator("start", "alice", "-E"),
    "a named variable": mediator("start", "alice", "--preserve-env=PYTHONPATH"),
    "another directory": mediator("start", "alice", "-D", "/tmp"),
    "another root directory": mediator("start", "alice", "-R", "/tmp"),
    "open descriptors": mediator("start", "alice", "-C", "100"),
    "sudoedit": ("/usr/bin/sudoedit", "-n", "/etc/shadow"),
    "sudo -e as a member": (*ALICE, "-e", "/etc/hosts"),
    "another's list": (SUDO, "-n", "-l", "-U", "alice"),
    "another's list of one program": (SUDO, "-n", "-l", "-U", "root", MEDIATOR, "start"),
    "another host": mediator("start", "alice", "-h", "otherhost"),
    "another host in one word": mediator("start", "alice", "--host=otherhost"),
    "a time limit": mediator("start", "alice", "-T", "5"),
    "another root directory in one word": mediator("start", "alice", "--chroot=/tmp"),
    "another directory in one word": mediator("start", "alice", "--chdir=/tmp"),
    "descriptors in one word": mediator("start", "alice", "--close-from=100"),
    "a shell for the mediator": mediator("start", "alice", "-s"),
    "a login for the mediator": mediator("start", "alice", "-i"),
    "a path of its own": (*ALICE, "PATH=/tmp", MEDIATOR, "start"),
    "two variables": (*ALICE, "A=1", "BASH_ENV=/tmp/x", MEDIATOR, "start"),
    "a name to be found": (*ALICE, "mediator", "start"),
    "the mediator to edit": (*ALICE, "-e", MEDIATOR),
    "a group alone": (SUDO, "-n", "-g", "root", MEDIATOR, "start"),
    "the shadow group alone": (SUDO, "-n", "-g", "shadow", MEDIATOR, "start"),
    "the members' group alone": (SUDO, "-n", "-g", "jupyterhub-users", MEDIATOR, "start"),
    "a group by number": mediator("start", "alice", "-g", "#0"),
    "the hub's own group": mediator("start", "alice", "-g", "jupyterhub"),
    "the other member's group": mediator("start", "alice", "-g", "bob"),
    "a login class": mediator("start", "alice", "-c", "root"),
    "a way to authenticate": mediator("start", "alice", "-a", "none"),
}


# What sudo says when it denies; any other failure would prove nothing.
DENIED = re.compile(
    r"a password is required|not allowed|not permitted|unknown user|command not found|usage: sudo|"
    r"may not run sudo|invalid option|unknown uid|is not valid|may only be specified|"
    # of sudo-rs, the first of them whatever it is that it denies
    r"I'm afraid I can't do that|user '[^']*' not found|has not yet been implemented"
)


def attempt(host: Host, command: tuple[str, ...]) -> Outcome:
    return do(host, Order(command, environment={"PATH": "/usr/bin", "PYTHONPATH": "/tmp"}))


@pytest.mark.parametrize("command", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_every_other_use_of_sudo_is_refused(
    host: Host, accounts: Accounts, command: tuple[str, ...]
) -> None:
    if is_sudo_rs(host) and (reason := not_for_sudo_rs(command)):
        pytest.skip(reason)
    outcome = attempt(host, command)
    assert outcome.status == 1, outcome
    assert not outcome.mediator_ran, outcome
    assert outcome.out == ""
    assert DENIED.search(outcome.err), outcome


def not_for_sudo_rs(command: tuple[str, ...]) -> str:
    if command[0].endswith("/sudoedit"):
        return "sudo-rs brings no sudoedit"
    if any(word == "-E" or word.startswith("--preserve-env") for word in command):
        return "sudo-rs warns of such an option and goes on without: no variable comes through"
    return ""


def test_sudo_rs_keeps_no_variable(host: Host, accounts: Accounts) -> None:
    if not is_sudo_rs(host):
        pytest.skip("sudo refuses to be asked for it")
    for option in ("-E", "--preserve-env=PYTHONPATH"):
        outcome = attempt(host, mediator("start", "alice", option))
        assert "will be ignored" in outcome.err, outcome
        assert outcome.answer()["code"] == "bad-request", outcome


# These change how sudo does it, and neither what is run nor as whom.
HARMLESS: dict[str, tuple[str, ...]] = {
    "in the background": mediator("start", "alice", "-b"),
    "with a bell": mediator("start", "alice", "-B"),
    "forgetting": mediator("start", "alice", "-k"),
    "not remembering": mediator("start", "alice", "-N"),
    "asking on standard input": mediator("start", "alice", "-S"),
    "asking a program": mediator("start", "alice", "-A"),
    "asking in other words": mediator("start", "alice", "-p", "root's password: "),
    "with a role": mediator("start", "alice", "-r", "sysadm_r"),
    "with a type": mediator("start", "alice", "-t", "unconfined_t"),
    "with the person's own group": mediator("start", "alice", "-g", "alice"),
    "after the last option": (*ALICE, "--", MEDIATOR, "start"),
    "by another path": (*ALICE, MEDIATOR.replace("/libexec/", "/libexec/../libexec//"), "start"),
}


@pytest.mark.parametrize("command", HARMLESS.values(), ids=HARMLESS.keys())
def test_the_other_options_of_sudo_win_nothing(
    host: Host, accounts: Accounts, command: tuple[str, ...]
) -> None:
    """Denied, or the same mediator with the same checks: it refuses what it always refuses."""
    order = Order(
        command,
        (message("start", version=2),),
        ("listener", "status"),
        environment={"SUDO_ASKPASS": "/usr/bin/id"},
    )
    outcome = do(host, order)
    if outcome.mediator_ran:
        assert outcome.answer()["code"] == "bad-request", outcome
    else:
        assert DENIED.search(outcome.err), outcome
    assert outcome.out == ""


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_another_group_of_the_person_is_refused(host: Host, accounts: Accounts, verb: str) -> None:
    """sudo -g is open to the hub for every group that the person is in."""
    group = options(host).users_group
    descriptors = ("listener", "status") if verb == "start" else ()
    data = message(verb, **({"uid": accounts.alice.uid} if verb == "stop" else {}))
    outcome = do(host, Order(mediator(verb, "alice", "-g", group), (data,), descriptors))
    assert outcome.mediator_ran, "sudo itself refuses it by now: the test proves nothing"
    assert (outcome.answer()["kind"], outcome.answer()["code"]) == ("refused", "wrong-group")


def test_with_a_group_of_its_own_the_hub_becomes_itself(host: Host) -> None:
    """sudo -g without -u stays who it was: sudo 1.9.13 asks no rule for that, later ones do."""
    hub = options(host).hub_account
    order = Order(
        (SUDO, "-n", "-g", hub, MEDIATOR, "start"), (message("start", hub),), ("listener", "status")
    )
    outcome = do(host, order)
    if outcome.mediator_ran:
        assert outcome.answer()["code"] == "system-account"
    else:
        assert DENIED.search(outcome.err), outcome


def test_the_forbidden_forms_name_the_accounts_of_this_machine(host: Host) -> None:
    assert options(host).pam_account == "jupyterhub-pam"


def test_a_member_can_be_started(host: Host, accounts: Accounts) -> None:
    data = message("start", "alice", version=2)
    outcome = do(host, Order(mediator("start", "alice"), (data,), ("listener", "status")))
    assert outcome.answer()["code"] == "bad-request"


def test_a_member_can_be_stopped(host: Host, accounts: Accounts) -> None:
    assert ask_stop(host, message("stop")).answer()["kind"] == "stopped"
    by_number = f"#{accounts.alice.uid}"
    assert ask_stop(host, message("stop"), by_number).answer()["kind"] == "stopped"


def test_somebody_who_left_the_group_can_be_stopped(host: Host, accounts: Accounts) -> None:
    answer = ask_stop(host, message("stop", "mallory"), "mallory").answer()
    assert (answer["kind"], answer["signalled"], answer["left"]) == ("stopped", 0, 0)


def test_stops_open_no_session_of_anybody(host: Host, accounts: Accounts) -> None:
    """Not of a member, and not of an account that the mediator then refuses."""
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    note = f"session optional pam_exec.so /usr/bin/touch {folder}/opened"
    try:
        with session_with(host, note):
            for name in ("alice", "mallory", "daemon"):
                ask_stop(host, message("stop", name), name)
            assert host.run("ls", folder).out == ""
            do(host, Order(mediator("start", "alice"), (message("start"),), ("status",)))
            assert host.run("ls", folder).out == "opened\n"
    finally:
        host.run("rm", "-r", folder)


def test_a_password_can_be_checked(host: Host, accounts: Accounts) -> None:
    data = message("authenticate", "alice", password=accounts.alice.password)
    answer = do(host, Order(authenticate(host), (data,))).answer()
    assert answer == {"version": 1, "kind": "authenticated", "user": "alice"}


def test_a_system_account_can_be_asked_to_stop_nothing(host: Host) -> None:
    outcome = ask_stop(host, message("stop", "daemon"), "daemon")
    assert outcome.answer()["code"] == "system-account"


def test_keeping_the_hubs_groups_wins_nothing(host: Host, accounts: Accounts) -> None:
    """sudo -P is open to everybody: the person's server must then not start with other groups.

    sudo-rs has no such option.
    """
    command = mediator("start", "alice", "-P")
    outcome = do(host, Order(command, (message("start"),), ("listener", "status")))
    if outcome.mediator_ran:
        assert outcome.answer()["kind"] == "refused", outcome
    else:
        assert is_sudo_rs(host)
        assert DENIED.search(outcome.err), outcome


def test_sudo_lists_exactly_the_three_rules(host: Host) -> None:
    no_argument = "" if is_sudo_rs(host) else ' ""'  # which sudo-rs keeps, and does not list
    listing = " ".join(attempt(host, (SUDO, "-n", "-l")).out.split())  # sudo wraps its lines
    rules = listing.partition("may run the following commands on ")[2].partition(": ")[2]
    assert re.split(r" (?=\([^)]*\) NOPASSWD)", rules) == [
        f"(%{options(host).users_group}) NOPASSWD: {MEDIATOR} start, {MEDIATOR} stop",
        f"(ALL, !root, !#0) NOPASSWD: {MEDIATOR} stop",
        f"({options(host).pam_account}) NOPASSWD: {AUTHENTICATE}{no_argument}",
    ]


@pytest.mark.parametrize("account", ["alice", "mallory", "jupyterhub-pam", "unixspawner-demo"])
def test_nobody_but_the_hub_gets_anything_from_sudo(
    host: Host, accounts: Accounts, account: str
) -> None:
    for command in (
        ("sudo", "-n", "-u", "bob", MEDIATOR, "start"),
        ("sudo", "-n", "-u", "bob", MEDIATOR, "stop"),
        ("sudo", "-n", "-u", "jupyterhub-pam", AUTHENTICATE),
        ("sudo", "-n", "id"),
    ):
        outcome = host.as_account(account, *command, check=False)
        assert outcome.status == 1, outcome
        assert "unixspawner: " not in outcome.err, outcome


@pytest.mark.parametrize("program", [MEDIATOR, AUTHENTICATE])
def test_without_sudo_the_programs_do_nothing_for_anybody(
    host: Host, accounts: Accounts, program: str
) -> None:
    words = ("start",) if program == MEDIATOR else ()
    for environment in ((), ("SUDO_UID=0", "SUDO_USER=jupyterhub")):
        outcome = host.as_account("mallory", "env", *environment, program, *words, check=False)
        assert outcome.status == 1, outcome
        assert outcome.out == ""
