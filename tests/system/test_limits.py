"""Limits by Unix group, on the installed service, with real people. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system import command
from tests.system.accounts import Accounts, replaced_file
from tests.system.command import Finding
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.limits import (
    LINE,
    PROGRAM,
    SSHD,
    enforces_memory,
    limits_file,
    limits_for_ssh,
    log_of,
    now,
    properties,
    slice_of,
    why_not_here,
)
from tests.system.people import server_of
from tests.system.service import options
from tests.system.ssh import session_of, signed_in


@pytest.fixture
def machine(host: Host) -> Host:
    if reason := why_not_here(host):
        pytest.skip(reason)
    return host


def test_people_get_the_limits_of_their_groups_and_their_own(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    users = options(machine).users_group
    text = f"""
        [default]
        memory = "1G"
        tasks = 500
        io_weight = 50
        [group.{users}]
        memory = "2G"
        [group.{options(machine).admins_group}]
        memory = "8G"
        tasks = "infinity"
        [user.bob]
        memory = "512M"
        cpu = 1.5
    """
    with limits_file(machine, accounts, text):
        for account in (accounts.alice, accounts.bob, accounts.carol):
            browser().sign_in(account)
        alice, bob, carol = (
            properties(machine, each) for each in (accounts.alice, accounts.bob, accounts.carol)
        )
    usual = {"CPUQuotaPerSecUSec": "infinity", "TasksMax": "500", "IOWeight": "50"}
    assert alice == usual | {"MemoryMax": str(2 * 2**30)}
    assert bob == usual | {"MemoryMax": str(2**29), "CPUQuotaPerSecUSec": "1.500000s"}
    assert carol == usual | {"MemoryMax": str(8 * 2**30), "TasksMax": "infinity"}


def test_a_file_without_sections_leaves_the_machine_alone(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    with limits_file(machine, accounts, "# nothing\n"):
        before = properties(machine, accounts.alice)
        browser().sign_in(accounts.alice)
        assert properties(machine, accounts.alice) == before
        place = f"/run/systemd/system.control/{slice_of(accounts.alice)}.d"
        assert machine.run("test", "-e", place, check=False).status == 1


def test_what_is_taken_out_of_the_file_is_taken_back_at_the_next_session(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    machines_own = properties(machine, accounts.alice)
    with limits_file(machine, accounts, '[default]\nmemory = "1G"\ntasks = 200\n'):
        alice = browser()
        alice.sign_in(accounts.alice)
        assert properties(machine, accounts.alice)["TasksMax"] == "200"
        machine.run("tee", "/etc/unixspawner/limits.toml", stdin='[default]\nmemory = "2G"\n')
        alice.start("alice", "second")
        found = properties(machine, accounts.alice)
    assert found == machines_own | {"MemoryMax": str(2 * 2**30)}


def test_ssh_and_web_count_together_whichever_comes_first(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = accounts.alice
    with (
        limits_file(machine, accounts, '[default]\nmemory = "1G"\n'),
        limits_for_ssh(machine),
        signed_in(machine, alice) as pid,
    ):
        assert properties(machine, alice)["MemoryMax"] == str(2**30)
        browser().sign_in(alice)
        groups = [
            session_of(machine, each).group for each in (pid, server_of(machine, "alice").pid)
        ]
    assert all(group.startswith(f"/user.slice/{slice_of(alice)}/") for group in groups)


def test_nobody_can_loosen_them(machine: Host, accounts: Accounts, browser: OpenBrowser) -> None:
    alice = accounts.alice
    with limits_file(machine, accounts, '[default]\nmemory = "1G"\n'):
        browser().sign_in(alice)
        folder = f"/sys/fs/cgroup/user.slice/{slice_of(alice)}"
        attempts = (
            ("systemctl", "set-property", "--runtime", slice_of(alice), "MemoryMax=infinity"),
            ("systemctl", "revert", slice_of(alice)),
            ("sh", "-c", f"echo max > {folder}/memory.max"),
            ("sh", "-c", f"echo $$ > {folder}/../../system.slice/cgroup.procs"),
            ("rm", "-rf", f"/run/systemd/system.control/{slice_of(alice)}.d"),
            (PROGRAM,),
        )
        for words in attempts:
            machine.as_account("alice", *words, check=False)
            assert properties(machine, alice)["MemoryMax"] == str(2**30), words
        asked = "systemd-run --user --scope -q -p MemoryMax=infinity cat /proc/self/cgroup"
        runtime = f"XDG_RUNTIME_DIR=/run/user/{alice.uid}"
        freed = machine.as_account("alice", "env", runtime, *asked.split())
        assert f"/user.slice/{slice_of(alice)}/" in freed.out


BROKEN = {
    "a value": '[default]\nmemory = "lots"\n',
    "a key": "[default]\nram = 1\n",
    "no TOML": "[default\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_keeps_nobody_out_and_is_said(
    host: Host, accounts: Accounts, browser: OpenBrowser, text: str
) -> None:
    since = now(host)
    with limits_file(host, accounts, text):
        browser().sign_in(accounts.alice)
        assert server_of(host, "alice")
        (found,) = [each for each in command.findings(host) if "until then no limits" in each.text]
        assert found.level == "failure"
        if why_not_here(host) == "":
            (line,) = log_of(host, accounts.alice, since)
            assert "limits are not set: " in line


def test_a_file_that_others_may_write_sets_nothing(
    machine: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    before = properties(machine, accounts.alice)
    with limits_file(machine, accounts, '[default]\nmemory = "1G"\n'):
        machine.run("chmod", "0666", "/etc/unixspawner/limits.toml")
        browser().sign_in(accounts.alice)
        assert properties(machine, accounts.alice) == before
        machine.run("chmod", "0644", "/etc/unixspawner/limits.toml")


def test_without_control_groups_the_number_of_processes_is_kept(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    if enforces_memory(host):
        pytest.skip("here the person's slice counts them")
    with limits_file(host, accounts, "[default]\ntasks = 432\n"):
        browser().sign_in(accounts.alice)
        limits = session_of(host, server_of(host, "alice").pid).limits
    assert limits["Max processes"] == ["432", "432"]


# ssh


@pytest.fixture
def loader_variables(host: Host, accounts: Accounts) -> Iterator[str]:
    """alice asks the loader of programs to write a file, in what pam_env may read of her home."""
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    host.run("chmod", "1777", folder)
    text = f"LD_DEBUG DEFAULT=files\nLD_DEBUG_OUTPUT DEFAULT={folder}/loaded\n"
    path = f"{accounts.alice.home}/.pam_environment"
    host.as_account("alice", "tee", path, stdin=text)
    yield folder
    host.run("rm", "-rf", path, folder)


def written_by_root(host: Host, folder: str) -> list[str]:
    """Files with the traces of a program's loading that root's programs wrote to alice's order."""
    return host.run("find", folder, "-type", "f", "-user", "root").out.splitlines()


def test_no_variable_of_a_person_reaches_the_program_that_root_runs(
    machine: Host, accounts: Accounts, loader_variables: str
) -> None:
    with limits_file(machine, accounts, '[default]\nmemory = "1G"\n'), limits_for_ssh(machine):
        with signed_in(machine, accounts.alice):
            assert properties(machine, accounts.alice)["MemoryMax"] == str(2**30)
        assert written_by_root(machine, loader_variables) == []


def test_and_the_doctor_warns_of_an_order_in_which_it_would(
    machine: Host, accounts: Accounts, loader_variables: str
) -> None:
    text = machine.run("cat", SSHD).out
    if "user_readenv=1" not in text:
        pytest.skip("this machine's sshd reads no variables from people's homes")
    lines = [line for line in text.splitlines() if PROGRAM not in line]
    with (
        limits_file(machine, accounts, '[default]\nmemory = "1G"\n'),
        replaced_file(machine, SSHD, "\n".join([*lines, LINE, ""])),
    ):
        with signed_in(machine, accounts.alice):
            pass
        assert written_by_root(machine, loader_variables) != []
        (found,) = wrong_orders(machine)
        assert found.level == "failure"
        machine.run("sh", "-c", found.cure)
        assert wrong_orders(machine) == []


def wrong_orders(host: Host) -> list[Finding]:
    found = command.findings(host)
    return [each for each in found if "lets people set variables" in each.text]


# What people and administrators see


def test_the_doctor_says_what_is_not_enforced(host: Host, accounts: Accounts) -> None:
    with limits_file(host, accounts, '[default]\nmemory = "1G"\n'):
        texts = [each.text for each in command.findings(host)]
    missing = "this machine does not enforce memory of limits.toml"
    assert (missing in texts) is not enforces_memory(host)
    assert ("the kernel enforces limits.toml" in texts) is enforces_memory(host)
