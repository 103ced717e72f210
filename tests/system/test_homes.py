"""A home that is missing, closed, full or not answering: the server starts, and says so plainly.

Every fault is a real one, on a real mount; see tests/system/mounts.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
from tests.system import parts, service
from tests.system.accounts import Account, Accounts, changed, processes
from tests.system.browserless import Browserless, text_of
from tests.system.database import server_tokens
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.limits import why_not_here
from tests.system.logs import HubLog
from tests.system.mounts import (
    another_s_home,
    closed_home,
    dead_mount,
    full_home,
    fuse_home,
    missing_home,
    read_only_home,
)
from tests.system.people import processes_of, server_of
from tests.system.servers import held_servers

MISSING = "Your home directory /home/bob does not exist: ask your administrator."
CLOSED = (
    "You may not enter your home directory /home/bob: ask your administrator to check its owner "
    "and permissions."
)
HANGS = (
    "Your home directory /home/bob does not answer, its file server may be down: ask your "
    "administrator, and start your server again when it is back."
)


def closed_dotfile(host: Host, bob: Account) -> AbstractContextManager[None]:
    """`.bashrc`, which nothing stands in for: of the others bash reads the first that it can."""
    path = f"{bob.home}/.bashrc"
    own = ("install", "-m", "0600", "-o", bob.name, "/etc/skel/.bashrc", path)
    return changed(host, ("install", "-m", "0600", "/dev/null", path), own)


@dataclass(frozen=True)
class Fault:
    """What is wrong with bob's home, what he reads, and where his server is then."""

    name: str
    trouble: Callable[[Host, Account], AbstractContextManager[object]]
    code: str
    sentence: str
    directory: str = "/"


FAULTS = [
    Fault("missing", missing_home, "home-missing", MISSING),
    Fault("another's", another_s_home, "home-unreadable", CLOSED),
    Fault("closed", closed_home, "home-unreadable", CLOSED),
    Fault(
        "full",
        full_home,
        "home-full",
        "The disk with your home directory /home/bob is full: delete files there or ask your "
        "administrator. Until then nothing can be saved.",
        "/home/bob",
    ),
    Fault(
        "over quota",
        lambda host, bob: fuse_home(host, bob, "quota"),
        "quota-full",
        "Your disk quota is used up: delete files in /home/bob or ask your administrator for more. "
        "Until then nothing can be saved.",
        "/home/bob",
    ),
    Fault(
        "read only",
        read_only_home,
        "home-not-writable",
        "Nothing can be written to your home directory /home/bob (Read-only file system): ask your "
        "administrator.",
        "/home/bob",
    ),
    Fault(
        "a dead mount",
        dead_mount,
        "home-broken",
        "Your home directory /home/bob cannot be used (Transport endpoint is not connected): ask "
        "your administrator.",
    ),
    Fault(
        "a dotfile of root's",
        closed_dotfile,
        "dotfile-unreadable",
        "Your start-up file ~/.bashrc cannot be read: run `chmod u+r ~/.bashrc`, or ask your "
        "administrator. Until then your applications start without it.",
        "/home/bob",
    ),
    Fault("hanging", lambda host, bob: fuse_home(host, bob, "hangs"), "home-hangs", HANGS),
]


@pytest.fixture
def bob(accounts: Accounts, browser: OpenBrowser) -> Browserless:
    person = browser()
    person.sign_in_only(accounts.bob)
    return person


@pytest.mark.promise(6)
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_the_server_starts_and_says_what_is_wrong(
    host: Host, accounts: Accounts, bob: Browserless, hub_log: HubLog, fault: Fault
) -> None:
    if fault.name == "hanging":
        skip_where_sessions_wait_for_homes(host)
    with fault.trouble(host, accounts.bob):
        events = what_a_start_says(host, bob)
        page = bob.go("user/bob/")
        server = server_of(host, "bob")
        assert server.environment["UNIXSPAWNER_TROUBLE"] == fault.sentence
        assert server.cwd == fault.directory
        assert server.environment["HOME"] == "/home/bob"
        assert bob.fetch("GET", "user/bob/whoami").json()["name"] == "bob"
        bob.stop("bob")
        wait_for("the end of the server", lambda: no_server_of(host, "bob"))
    hub_log.wait_for(f"bob: {fault.code}: {fault.sentence}")  # the log
    assert fault.sentence in events  # the API, and the page that waits
    assert fault.sentence in text_of(page.text)  # the page


def skip_where_sessions_wait_for_homes(host: Host) -> None:
    """What is said there, after a minute, is tested in test_unfinished_starts.py."""
    if why_not_here(host) == "":
        pytest.skip("logind starts the person's service manager first, which waits for the home")


def what_a_start_says(host: Host, bob: Browserless) -> list[str]:
    """All of its progress: the server is held until somebody listens."""
    with held_servers(host) as release, ThreadPoolExecutor() as pool:
        asked = pool.submit(bob.fetch, "POST", "hub/api/users/bob/server")
        wait_for("the start", lambda: bob.servers("bob").get("", {}).get("pending") == "spawn")
        events = bob.progress("bob")
        said = [next(events).message]
        release()
        said += [event.message for event in events]
        assert asked.result().status_code in (201, 202)
    return said


def no_server_of(host: Host, name: str) -> bool:
    found = [p for p in processes_of(host, name) if p.is_server]
    return found == [] and server_tokens(host) == ()


def test_with_a_good_home_nobody_is_told_anything(
    host: Host, accounts: Accounts, bob: Browserless
) -> None:
    assert '<span id="name">bob</span>' in bob.start("bob").text
    assert "UNIXSPAWNER_TROUBLE" not in server_of(host, "bob").environment
    assert server_of(host, "bob").cwd == accounts.bob.home


def test_the_person_goes_on_from_the_page_that_says_it(
    host: Host, accounts: Accounts, bob: Browserless
) -> None:
    with full_home(host, accounts.bob):
        page = bob.start("bob")
        assert "is full" in text_of(page.text)
        assert '<span id="name">bob</span>' not in page.text
        again = bob.go("user/bob/")
        assert '<span id="name">bob</span>' in again.text
        bob.stop("bob")
        wait_for("the end of the server", lambda: no_server_of(host, "bob"))


def test_the_log_of_a_server_without_a_home_is_kept_elsewhere(
    host: Host, accounts: Accounts, bob: Browserless
) -> None:
    with full_home(host, accounts.bob):
        bob.start("bob")
        log = server_of(host, "bob").output[1]
        of_session = f"/run/user/{accounts.bob.uid}"
        has_one = host.run("test", "-d", of_session, check=False).status == 0
        folder = f"{of_session}/unixspawner" if has_one else f"/tmp/unixspawner-{accounts.bob.uid}"
        assert log == f"{folder}/server.log"
        assert host.run("stat", "-c", "%U %a", folder, log).out.split() == [
            *("bob", "700"),
            *("bob", "600"),
        ]
        wait_for("its words", lambda: "Serving /" in host.run("cat", log).out)
        assert "Serving /user/bob/" in host.run("unixspawner", "logs", "bob").out
    host.run("rm", "-rf", folder)


def test_a_dotfile_that_cannot_be_read_leaves_the_log_in_the_home(
    host: Host, accounts: Accounts, bob: Browserless
) -> None:
    with closed_dotfile(host, accounts.bob):
        bob.start("bob")
        log = server_of(host, "bob").output[1]
    assert log == f"{accounts.bob.home}/.local/state/unixspawner/server.log"


def test_once_the_home_is_back_the_next_start_is_in_it(
    host: Host, accounts: Accounts, bob: Browserless
) -> None:
    with missing_home(host, accounts.bob):
        bob.start("bob")
        assert server_of(host, "bob").cwd == "/"
        bob.stop("bob")
        wait_for("the end of the server", lambda: no_server_of(host, "bob"))
    bob.start("bob")
    assert server_of(host, "bob").cwd == accounts.bob.home


def test_a_home_that_hangs_does_not_use_up_the_time_of_a_start(
    host: Host, accounts: Accounts, bob: Browserless
) -> None:
    skip_where_sessions_wait_for_homes(host)
    with fuse_home(host, accounts.bob, "hangs"):
        began = time.monotonic()
        bob.start("bob")
        assert time.monotonic() - began < 30
        bob.stop("bob")
        wait_for("the end of the server", lambda: no_server_of(host, "bob"))


@pytest.mark.promise(6)
def test_a_server_whose_home_stops_answering_still_answers_and_can_be_stopped(
    host: Host, accounts: Accounts, bob: Browserless
) -> None:
    with fuse_home(host, accounts.bob, "quota") as home:
        bob.start("bob")
        home.hang()
        assert bob.fetch("GET", "user/bob/whoami").json()["name"] == "bob"
        bob.stop("bob")
        wait_for("the end of the server", lambda: no_server_of(host, "bob"))


def test_what_waits_for_a_file_server_is_said_and_ended_once_it_can_be(
    host: Host, accounts: Accounts, bob: Browserless, hub_log: HubLog
) -> None:
    """A process beyond any signal: the stop does not wait for it, and does not forget it."""
    with fuse_home(host, accounts.bob, "quota") as home:
        bob.start("bob")
        server = server_of(host, "bob")
        home.hang()
        script = "exec ls /home/bob >/dev/null 2>&1 &"
        marker = f"UNIXSPAWNER_SERVER_ID={server.server_id}"
        host.as_account("bob", "env", marker, "sh", "-c", script)
        wait_for("the process", lambda: any("ls" in p.command for p in processes_of(host, "bob")))
        bob.stop("bob")
        hub_log.wait_for("1 processes of bob do not end")
        wait_for("the hub to forget it", lambda: server_tokens(host) == ())
        of_server = [p for p in processes_of(host, "bob") if p.is_server]
        left = [p.command for p in of_server if p.server_id == server.server_id]
        assert left == [["ls", "/home/bob"]]
        record = f"{service.RUN}/servers/{server.server_id}.json"
        assert host.run("test", "-e", record, check=False).status == 0
        home.come_back()
        wait_for("its end", lambda: processes(host, "bob") == [])
        with parts.replaced(host, parts.HUB):  # else it would look again a minute later
            parts.signal(host, "TERM", parts.HUB)
        wait_for("the record to go", lambda: host.run("test", "-e", record, check=False).status)


@pytest.mark.parametrize("mode", ["000", "644"])
def test_dotfiles_that_cannot_be_read_or_are_broken_keep_nobody_out(
    host: Host, accounts: Accounts, bob: Browserless, mode: str
) -> None:
    """What cannot be read is said first; what is wrong in it, when an application starts."""
    files = [f"{accounts.bob.home}/{name}" for name in (".bashrc", ".profile", ".bash_profile")]
    for path in files:
        host.run("tee", path, stdin="exit 1 ((( \n")
        host.run("chown", "bob", path)
        host.run("chmod", mode, path)
    try:
        first = bob.start("bob")
        assert ("cannot be read" in text_of(first.text)) is (mode == "000")
        assert '<span id="name">bob</span>' in bob.go("user/bob/").text
    finally:
        host.run("rm", *files)


def test_an_environment_file_that_cannot_be_read_keeps_nobody_out(
    host: Host, bob: Browserless
) -> None:
    """pam_env says so in the system's log and goes on."""
    path = "/etc/environment"
    host.run("touch", path)
    mode = host.run("stat", "-c", "%a", path).out.strip()
    with changed(host, ("chmod", "000", path), ("chmod", mode, path)):
        assert '<span id="name">bob</span>' in bob.start("bob").text
