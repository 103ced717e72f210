"""What the kernel does when people reach the limits of limits.toml. Run by pytest as root."""

from __future__ import annotations

import pytest
from tests.system import command
from tests.system.accounts import Account, Accounts
from tests.system.applications import ask_now, facts, press, shelf
from tests.system.browserless import Browserless, text_of
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.limits import (
    NOT_ENFORCED,
    count,
    enforces_memory,
    limits_file,
    limits_for_ssh,
    slice_of,
    why_not_here,
)
from tests.system.people import is_alive, server_of
from tests.system.ssh import signed_in
from tests.system.troubles import TOO_MANY_PROCESSES

TOLD = "MiB of memory that you may use were used up"


@pytest.fixture
def machine(host: Host) -> Host:
    if reason := why_not_here(host):
        pytest.skip(reason)
    if not enforces_memory(host):
        pytest.skip(NOT_ENFORCED)
    return host


def test_status_and_the_home_page_tell_them(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    with limits_file(machine, accounts, '[default]\nmemory = "1G"\ncpu = 1.5\ntasks = 500\n'):
        alice = browser()
        alice.sign_in(accounts.alice)
        assert "1 GiB, " in alice.go("user/alice/apps/").text
        row = command.servers(machine, "alice")[""]
        assert row["bounds"] == {"memory": 2**30, "cpu": 1.5, "tasks": 500}
        assert "1.0 GB, 1.5 CPU" in command.run(machine, "status").out


def page(person: Browserless, path: str) -> str:
    return text_of(person.go(path).text)


def allocate(person: Browserless, name: str, megabytes: int) -> bool:
    """Whether it got them. A POST, since a GET would be repeated."""
    path = f"user/alice/apps/{name}/?allocate={megabytes}"
    return person.fetch("POST", path).status_code == 200


def test_who_uses_up_the_memory_loses_that_application_alone_and_is_told(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    with (
        limits_file(machine, accounts, '[default]\nmemory = "256M"\n'),
        shelf(machine) as apps,
        apps.program("lab"),
        apps.program("small"),
    ):
        alice = browser()
        alice.sign_in(accounts.alice)
        gateway = server_of(machine, "alice")  # before there is an application
        pid, small = (facts(alice, "alice", f"{name}/")["pid"] for name in ("lab", "small"))
        assert not allocate(alice, "lab", 512)
        wait_for("the end of it", lambda: command.has_ended(machine, pid))
        told = f"because the 256 {TOLD}"
        wait_for("the sentence", lambda: told in page(alice, "user/alice/apps/-/lab/log"))
        assert told in page(alice, "user/alice/apps/")
        assert is_alive(machine, gateway)
        assert facts(alice, "alice", "small/")["pid"] == small
        assert facts(alice, "alice", "lab/")["pid"] != pid


HOLDING = "import time; held = bytearray(b'1') * (150 << 20); time.sleep(1000)"


def test_memory_of_ssh_and_web_is_counted_together(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """Either alone is within the bound; both together are not, and the application gives way."""
    with (
        limits_file(machine, accounts, '[default]\nmemory = "400M"\n'),
        limits_for_ssh(machine),
        shelf(machine) as apps,
        apps.program("lab"),
    ):
        alice = browser()
        alice.sign_in(accounts.alice)
        facts(alice, "alice", "lab/")
        assert allocate(alice, "lab", 200)
        with signed_in(machine, accounts.alice, "python3", "-I", "-c", HOLDING) as shell:
            wait_for("what it holds", lambda: resident(machine, shell) > 150 * 2**10)
            pid = facts(alice, "alice", "lab/")["pid"]
            assert not allocate(alice, "lab", 200)
            wait_for("the end of it", lambda: command.has_ended(machine, pid))
            assert not command.has_ended(machine, shell)
            told = f"because the 400 {TOLD}"
            wait_for("the sentence", lambda: told in page(alice, "user/alice/apps/-/lab/log"))


def resident(host: Host, pid: int) -> int:
    """In KiB."""
    return int(host.run("ps", "-o", "rss=", "-p", str(pid)).out)


BUSY = ("sh", "-c", "while :; do :; done")


def test_the_processor_is_held_back(machine: Host, accounts: Accounts) -> None:
    """The kernel itself says how often it made alice wait."""
    with (
        limits_file(machine, accounts, "[default]\ncpu = 0.5\n"),
        limits_for_ssh(machine),
        signed_in(machine, accounts.alice, *BUSY),
    ):

        def waits() -> int:
            return count(machine, accounts.alice, "cpu.stat", "nr_throttled")

        before = waits()
        wait_for("the kernel to hold her back", lambda: waits() > before)


FILLING = """
import os, time
try:
    while os.fork():
        pass
except BlockingIOError:
    pass
time.sleep(1000)
"""


def test_who_runs_too_many_processes_is_refused_more_and_told(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """The gateway, which runs already, goes on; neither an application nor a server can begin."""
    with (
        limits_file(machine, accounts, "[default]\ntasks = 64\n"),
        limits_for_ssh(machine),
        shelf(machine) as apps,
        apps.program("lab"),
    ):
        alice = browser()
        alice.sign_in(accounts.alice)
        facts(alice, "alice", "lab/")
        press(alice, "alice", "lab", "stop")
        with signed_in(machine, accounts.alice, "python3", "-I", "-c", FILLING):
            wait_for("as many as may be", lambda: tasks_of(machine, accounts.alice) == "64")
            assert alice.fetch("GET", "user/alice/whoami").json()["name"] == "alice"
            assert TOO_MANY_PROCESSES in ask_now(alice, "alice", "lab/").text
            alice.go("hub/spawn/alice/second")
            said = " ".join(event.message for event in alice.progress("alice", "second"))
            assert TOO_MANY_PROCESSES in said
        press(alice, "alice", "lab", "restart")
        assert facts(alice, "alice", "lab/")["pid"]


def tasks_of(host: Host, account: Account) -> str:
    """How many processes and threads the account has, as the kernel counts them."""
    path = f"/sys/fs/cgroup/user.slice/{slice_of(account)}/pids.current"
    return host.run("cat", path).out.strip()
