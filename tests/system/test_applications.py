"""Applications that start on demand, on the installed service, as real people. Run as root."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tests.system.accounts import Account, Accounts, changed, end_processes
from tests.system.applications import (
    FOLDER,
    Shelf,
    ask,
    ask_now,
    facts,
    press,
    processes_of_application,
)
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.people import processes_of
from tests.system.test_isolation import connect, listeners


def message(person: Browserless, account: str, path: str) -> str:
    answer = ask(person, account, path)
    assert answer.status_code == 503, answer.text
    return str(answer.json()["message"])


def log_of(host: Host, account: Account, name: str) -> str:
    path = f"{account.home}/.local/state/unixspawner/{name}"
    return host.as_account(account.name, "cat", path).out


# Start


def test_one_start_however_many_ask_at_once(host: Host, apps: Shelf, alice: Browserless) -> None:
    with apps.program("lab"), ThreadPoolExecutor(20) as pool:
        told = list(pool.map(lambda n: facts(alice, "alice", f"lab/{n}"), range(20)))
        assert len({each["pid"] for each in told}) == 1
        assert sorted(each["target"] for each in told) == sorted(f"/{n}" for n in range(20))
        assert len(processes_of_application(host, "alice", "lab")) == 1


def test_it_runs_as_the_person_in_the_persons_session(
    host: Host, apps: Shelf, accounts: Accounts, alice: Browserless
) -> None:
    account = accounts.alice
    with apps.program("lab", 'directory = "~/notebooks"', 'environment = { A = "{user}:{name}" }'):
        told = facts(alice, "alice", "lab/")
        (process,) = processes_of_application(host, "alice", "lab")
        server = next(each for each in processes_of(host, "alice") if each.pid == process.parent)
        host.as_account("alice", "rmdir", f"{account.home}/notebooks")
    assert process.pid == told["pid"]
    assert "unixspawner_singleuser" in server.command
    assert process.uids == [account.uid] * 4
    assert process.gids == server.gids
    assert process.groups == server.groups
    assert process.capabilities == "0000000000000000"
    assert process.umask == server.umask
    assert process.cwd.startswith(f"{account.home}/notebooks")
    log = f"{account.home}/.local/state/unixspawner/application.lab.log"
    assert process.output == ["/dev/null", log, log]
    assert process.environment["A"] == "alice:lab"
    assert process.environment["UNIXSPAWNER_SERVER_ID"] == server.server_id


def test_no_secret_reaches_it(host: Host, apps: Shelf, alice: Browserless) -> None:
    with apps.program("lab"):
        facts(alice, "alice", "lab/")
        (process,) = processes_of_application(host, "alice", "lab")
        token = server_token(host)
        for name in ("environ", "cmdline"):
            text = host.run("cat", f"/proc/{process.pid}/{name}").out
            assert token not in text
            assert "TOKEN" not in text


def server_token(host: Host) -> str:
    for process in processes_of(host, "alice"):
        if "JUPYTERHUB_API_TOKEN" in process.environment:
            return process.environment["JUPYTERHUB_API_TOKEN"]
    raise AssertionError("the server has no token")


def test_nobody_else_reaches_its_socket_and_it_opens_no_port(
    host: Host, apps: Shelf, accounts: Accounts, alice: Browserless, browser: OpenBrowser
) -> None:
    bob = browser()
    bob.sign_in(accounts.bob)
    before = listeners(host)
    with apps.program("lab"):
        sockets = {
            name: facts(person, name, "lab/")["arguments"][0]
            for person, name in ((alice, "alice"), (bob, "bob"))
        }
        assert listeners(host) - before == set()
        for name, path in sockets.items():
            assert connect(host, name, path) == "connected"
            for other in {"alice", "bob", "mallory"} - {name}:
                assert connect(host, other, path) == "PermissionError"


@pytest.mark.parametrize(
    ("shell", "name", "text"),
    [
        ("/bin/bash", ".bashrc", "export MINE=$BASH"),
        ("/usr/bin/zsh", ".zshrc", "export MINE=$ZSH_NAME"),
        ("/usr/bin/fish", ".config/fish/config.fish", "set -gx MINE (status fish-path)"),
    ],
)
def test_the_login_environment_is_the_persons(
    host: Host,
    apps: Shelf,
    accounts: Accounts,
    browser: OpenBrowser,
    shell: str,
    name: str,
    text: str,
) -> None:
    assert shell in host.run("cat", "/etc/shells").out.split()
    change = ("usermod", "-s")
    with (
        apps.program("lab"),
        changed(host, (*change, shell, "alice"), (*change, "/bin/bash", "alice")),
        dotfile(host, accounts.alice, name, text),
    ):
        alice = browser()
        alice.sign_in(accounts.alice)
        mine = facts(alice, "alice", "lab/")["environment"]["MINE"]
    assert mine.rpartition("/")[2] == shell.rpartition("/")[2]


@contextmanager
def dotfile(host: Host, account: Account, name: str, text: str) -> Iterator[None]:
    """Put in front of what a dotfile says, or in its place where there is none; then as before."""
    path = f"{account.home}/{name}"
    there = host.as_account(account.name, "cat", path, check=False)
    host.as_account(account.name, "mkdir", "-p", path.rpartition("/")[0])
    host.as_account(account.name, "tee", path, stdin=f"{text}\n{there.out}")
    try:
        yield
    finally:
        if there.status == 0:
            host.as_account(account.name, "tee", path, stdin=there.out)
        else:
            host.as_account(account.name, "rm", path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("echo to be seen >&2; exit 1", "ended with exit status 1 before it came to start Lab"),
        ("echo to be seen; exec true", "ended with exit status 0 before it came to start Lab"),
        ("echo to be seen; while :; do :; done", "took longer than 4 seconds and has not started"),
    ],
)
def test_a_broken_dotfile_is_that_applications_log_and_not_a_dead_server(
    host: Host,
    apps: Shelf,
    accounts: Accounts,
    alice: Browserless,
    text: str,
    sentence: str,
) -> None:
    with (
        apps.program("lab", "start_timeout = 4"),
        apps.program("other", 'shell = "none"'),
        dotfile(host, accounts.alice, ".profile", text),
    ):
        assert sentence in message(alice, "alice", "lab/")
        page = alice.go("user/alice/apps/lab/")
        assert page.status_code == 503
        assert "to be seen\n" in page.text
        assert facts(alice, "alice", "other/")["target"] == "/"


# Files


def test_a_file_counts_without_a_restart_and_a_wrong_one_is_refused_with_its_line(
    host: Host, apps: Shelf, accounts: Accounts, alice: Browserless
) -> None:
    bad = f'title = "Lab"\nport = 1\n{apps.command}\n'
    assert ask_now(alice, "alice", "lab/").status_code == 404
    with apps.program("good"), apps.file("lab", bad):
        wait_for("the good one", lambda: ask_now(alice, "alice", "good/").status_code == 200)
        assert ask_now(alice, "alice", "lab/").status_code == 404
        refusal = f"{FOLDER}/lab.toml, line 2: unknown key 'port'"
        assert refusal in log_of(host, accounts.alice, "server.log")
        doctor = host.run("unixspawner", "doctor", check=False)
        assert doctor.status == 1
        cure = "correct it; until then it is left out"
        assert f"failure {refusal}\n        cure: {cure}\n" in doctor.out
        assert f"ok      {FOLDER}/good.toml: Lab, starts /usr/bin/python3\n" in doctor.out
        apps.write("lab", bad.replace("port = 1\n", ""))
        wait_for("the corrected one", lambda: ask_now(alice, "alice", "lab/").status_code == 200)
    wait_for("its end", lambda: ask_now(alice, "alice", "lab/").status_code == 404)


@pytest.mark.parametrize(("owner", "mode"), [("alice", "0644"), ("root", "0666")])
def test_a_file_that_somebody_else_could_have_written_is_refused(
    host: Host, apps: Shelf, accounts: Accounts, owner: str, mode: str, browser: OpenBrowser
) -> None:
    with apps.program("lab"):
        host.run("chown", owner, f"{FOLDER}/lab.toml")
        host.run("chmod", mode, f"{FOLDER}/lab.toml")
        person = browser()
        person.sign_in(accounts.alice)
        assert ask_now(person, "alice", "lab/").status_code == 404
        assert f"{FOLDER}/lab.toml: " in log_of(host, accounts.alice, "server.log")


def test_a_changed_command_counts_from_the_next_restart(
    host: Host, apps: Shelf, alice: Browserless
) -> None:
    with apps.program("lab"):
        before = facts(alice, "alice", "lab/")["pid"]
        apps.write("lab", f'title = "Lab"\n{apps.command}\nenvironment = {{ NEW = "1" }}\n')
        changed_says = "Its settings have changed; a restart takes the new ones."
        wait_for("the change", lambda: changed_says in alice.go("user/alice/apps/-/lab/log").text)
        assert facts(alice, "alice", "lab/")["pid"] == before
        press(alice, "alice", "lab", "restart")
        told = facts(alice, "alice", "lab/")
        assert told["pid"] != before
        assert told["environment"]["NEW"] == "1"


def test_only_members_of_its_groups_see_it(
    host: Host, apps: Shelf, accounts: Accounts, browser: OpenBrowser
) -> None:
    group = "unixspawner-test"
    with (
        changed(host, ("groupadd", group), ("groupdel", group)),
        changed(host, ("gpasswd", "-a", "alice", group), ("gpasswd", "-d", "alice", group)),
        apps.program("lab", f'groups = ["{group}"]'),
    ):
        member, other = browser(), browser()
        member.sign_in(accounts.alice)
        other.sign_in(accounts.bob)
        assert facts(member, "alice", "lab/")["target"] == "/"
        assert "apps/lab/" in member.go("user/alice/apps/").text
        assert "apps/lab/" not in other.go("user/bob/apps/").text
        hidden, unknown = other.go("user/bob/apps/lab/"), other.go("user/bob/apps/nothing/")
        assert hidden.status_code == unknown.status_code == 404
        assert hidden.text == unknown.text
        assert other.go("user/bob/apps/-/lab/log").status_code == 404


@pytest.mark.parametrize("name", [";id", "`id`", "$(id)", "@evil", "%24%28id%29", "..;", "lab%00"])
def test_a_name_that_could_mean_something_else_is_nothing(
    host: Host, alice: Browserless, name: str
) -> None:
    for path in (f"{name}/", name, f"-/{name}/log"):
        assert alice.go(f"user/alice/apps/{path}").status_code == 404


# Logs


def test_the_logs_are_pages_for_the_person_alone(
    host: Host, apps: Shelf, accounts: Accounts, alice: Browserless, browser: OpenBrowser
) -> None:
    with apps.program("lab"):
        facts(alice, "alice", "lab/")
        page = alice.go("user/alice/apps/-/lab/log")
        assert "It writes &lt;b&gt;into&lt;/b&gt; its log.\n" in page.text
        assert "Serving /user/alice/ as alice." in alice.go("user/alice/apps/-/log").text
        bob = browser()
        bob.sign_in(accounts.bob)
        for path in ("lab/log", "log"):
            assert bob.go(f"user/alice/apps/-/{path}").status_code == 403


def test_a_home_that_takes_no_log_still_gets_the_application(
    host: Host, apps: Shelf, accounts: Accounts, alice: Browserless
) -> None:
    folder = f"{accounts.alice.home}/.local/state/unixspawner"
    with (
        apps.program("lab"),
        changed(host, ("chattr", "+i", folder), ("chattr", "-i", folder)),
    ):
        facts(alice, "alice", "lab/")
        (process,) = processes_of_application(host, "alice", "lab")
        assert re.fullmatch(
            r".*/unixspawner-applications-\w+/application.lab.log", process.output[1]
        )
        assert "into&lt;/b&gt; its log" in alice.go("user/alice/apps/-/lab/log").text


@contextmanager
def home_that_can_hang(host: Host, account: Account) -> Iterator[None]:
    """A file system of its own below the home, for logs; writing there can be made to hang."""
    image = host.run("mktemp", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    folder = f"{account.home}/.local"
    try:
        host.run("truncate", "-s", "16M", image)
        host.run("mkfs.ext4", "-q", image)
        host.as_account(account.name, "mkdir", "-p", folder)
        mounted = host.run("mount", "-o", "loop", image, folder, check=False)
        if mounted.status != 0:
            pytest.skip(f"this machine mounts no file as a file system: {mounted.err}")
        try:
            host.run("chown", f"{account.name}:", folder)
            yield
        finally:
            host.run("fsfreeze", "--unfreeze", folder, check=False)
            end_processes(host, account.name)
            host.run("umount", folder)
    finally:
        host.run("rm", image)


def test_a_home_that_hangs_neither_stops_the_server_nor_the_application(
    host: Host, apps: Shelf, accounts: Accounts, browser: OpenBrowser, administrator: Browserless
) -> None:
    folder = f"{accounts.alice.home}/.local"
    with home_that_can_hang(host, accounts.alice), apps.program("lab"), apps.program("other"):
        alice = browser()
        alice.sign_in(accounts.alice)
        facts(alice, "alice", "other/")
        host.run("fsfreeze", "--freeze", folder)
        with ThreadPoolExecutor(1) as pool:
            starts = pool.submit(facts, alice, "alice", "lab/")
            while not starts.done():
                # All the while everything else is answered at once.
                began = time.monotonic()
                assert ask(alice, "alice", "other/").status_code == 200
                assert alice.go("user/alice/apps/").status_code == 200
                assert time.monotonic() - began < 3
        assert starts.result()["target"] == "/"
        log = alice.go("user/alice/apps/-/lab/log").text
        assert "into&lt;/b&gt; its log" in log
        host.run("fsfreeze", "--unfreeze", folder)
        administrator.go("hub/home")
        administrator.stop("alice")
        wait_for("the end", lambda: not processes_of(host, "alice"))
