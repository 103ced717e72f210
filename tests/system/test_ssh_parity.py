"""An application has of its session what ssh gives the same person. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.system.accounts import Account, Accounts, replaced_file
from tests.system.applications import facts, processes_of_application, shelf
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.limits import why_not_here
from tests.system.ssh import Session, session_of, signed_in

# Names of variables that only one of the two has, and why.
OF_SSH_ALONE = {
    "SSH_CLIENT": "where the connection comes from",
    "SSH_CONNECTION": "the same",
    "SSH_TTY": "the terminal",
    "TERM": "the terminal's kind; an application has no terminal",
    "MOTD_SHOWN": "pam_motd of the sshd stack",
    "SHLVL": "how deep a shell is; an application is none",
    "_": "the last word of the shell",
}
OF_APPLICATIONS_ALONE = {
    "JUPYTERHUB_": "what belongs to this server",
    "UNIXSPAWNER_": "the marks by which a stop finds everything",
    "MAIL": "sudo says where the mail is, sshd where PAM does",
    "LC_CTYPE": "Python, which the server is, sees to UTF-8 on machines without a language",
}
# Both have them, and they cannot be the same.
DIFFERENT = {
    "XDG_SESSION_ID": "each session has its own",
    "XDG_SESSION_TYPE": "tty over ssh",
    "XDG_SESSION_CLASS": "a session without a terminal is one in the background",
    "PWD": "where a command was started, the home in both cases unless the application says so",
}


@pytest.fixture
def application(host: Host, accounts: Accounts, browser: OpenBrowser) -> Iterator[Session]:
    """An application of alice's, started on demand, as most of them are."""
    alice = browser()
    alice.sign_in(accounts.alice)
    with shelf(host) as apps, apps.program("parity"):
        facts(alice, "alice", "parity/")
        (process,) = processes_of_application(host, "alice", "parity")
        yield session_of(host, process.pid)


@pytest.fixture
def terminal(host: Host, accounts: Accounts) -> Iterator[Session]:
    if reason := why_not_here(host):
        pytest.skip(reason)
    with signed_in(host, accounts.alice) as pid:
        yield session_of(host, pid)


def test_an_application_has_what_ssh_gives(application: Session, terminal: Session) -> None:
    """Identity, groups, capabilities, umask, login uid, priority, namespaces and file systems."""
    assert application.kernel == terminal.kernel


def test_the_limits_are_those_of_ssh(application: Session, terminal: Session) -> None:
    core = "Max core file size"  # sudo lets what it starts dump none, unless it is told otherwise
    here, there = (each.limits | {core: [""]} for each in (application, terminal))
    assert here == there


def test_both_are_in_the_persons_slice(
    accounts: Accounts, application: Session, terminal: Session
) -> None:
    place = f"/user.slice/user-{accounts.alice.uid}.slice/session-"
    assert application.group.startswith(place)
    assert terminal.group.startswith(place)
    assert application.group != terminal.group


def test_both_begin_in_the_home_directory(
    accounts: Accounts, application: Session, terminal: Session
) -> None:
    assert application.directory == terminal.directory == accounts.alice.home


def test_an_application_gives_way_when_memory_runs_out(
    application: Session, terminal: Session
) -> None:
    """The one thing that differs, so that the gateway can tell what has happened."""
    assert (terminal.oom_score_adj, application.oom_score_adj) == (0, 200)


def test_the_variables_are_those_of_ssh(application: Session, terminal: Session) -> None:
    here, there = application.environment, terminal.environment
    only_there = there.keys() - here.keys()
    assert only_there - OF_SSH_ALONE.keys() == set()
    only_here = here.keys() - there.keys()
    explained = tuple(OF_APPLICATIONS_ALONE)
    assert {name for name in only_here if not name.startswith(explained)} == set()
    differing = {name for name in here.keys() & there.keys() if here[name] != there[name]}
    assert differing - DIFFERENT.keys() == set()


@pytest.mark.parametrize("line", ["export FROM_DOTFILES=yes", "umask 0077"])
def test_what_dotfiles_do_happens_in_both(
    host: Host, accounts: Accounts, browser: OpenBrowser, line: str
) -> None:
    if reason := why_not_here(host):
        pytest.skip(reason)
    alice = accounts.alice
    with dotfile(host, alice, line):
        person = browser()
        person.sign_in(alice)
        with shelf(host) as apps, apps.program("parity"), signed_in(host, alice) as pid:
            facts(person, "alice", "parity/")
            (process,) = processes_of_application(host, "alice", "parity")
            web, ssh = session_of(host, process.pid), session_of(host, pid)
    assert web.environment.get("FROM_DOTFILES") == ssh.environment.get("FROM_DOTFILES")
    assert web.kernel["Umask"] == ssh.kernel["Umask"]
    assert "yes" in web.environment.values() or web.kernel["Umask"] == ["0077"]


@contextmanager
def dotfile(host: Host, account: Account, line: str) -> Iterator[None]:
    """One more line in what a login shell reads."""
    path = f"{account.home}/.profile"
    with replaced_file(host, path, f"{host.run('cat', path).out}\n{line}\n"):
        yield
