"""`unixspawner status` and `users`, on real servers of real people. Run as root."""

from __future__ import annotations

import datetime

import httpx
import pytest
from tests.system import command, parts
from tests.system.accounts import Accounts, changed
from tests.system.command import StartProcess, of_server
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.people import server_of, servers_of
from tests.system.service import options, without_hub
from tests.system.sessions import held_sessions

BUSY = "while :; do :; done"
IDLE = "exec sleep 600"


# status


def test_status_says_who_runs_what_since_when(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    before = datetime.datetime.now().astimezone().replace(microsecond=0)
    alice = browser()
    alice.sign_in(accounts.alice)
    alice.start("alice", "lab")
    found = command.servers(host, "alice")
    assert found.keys() == {"", "lab"}
    for row in found.values():
        assert row["state"] == "running"
        assert before <= datetime.datetime.fromisoformat(row["since"])
        assert datetime.datetime.fromisoformat(row["last_activity"]) is not None
        assert row["processes"] >= 1
        assert row["applications"] == []
    assert command.table(host, "status")["memory_kind"] == "PSS"


def test_memory_is_what_the_kernel_says_of_the_servers_processes(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    pid = server_of(host, "alice").pid
    rollup = host.run("cat", f"/proc/{pid}/smaps_rollup").out
    share = 1024 * int(rollup.partition("\nPss:")[2].split()[0])
    # the share changes with every other process that has the same pages
    assert 0.5 * share < command.servers(host, "alice")[""]["memory"] < 2 * share


def test_processors_processes_and_applications_are_the_servers_own(
    host: Host, accounts: Accounts, browser: OpenBrowser, start_process: StartProcess
) -> None:
    browser().sign_in(accounts.alice)
    browser().sign_in(accounts.bob)
    server = server_of(host, "alice")
    count = command.servers(host, "alice")[""]["processes"]
    start_process("alice", BUSY, **of_server(server.server_id, application="notes"))
    start_process("alice", BUSY)  # as from ssh: nobody's server
    row = command.servers(host, "alice")[""]
    assert row["processes"] == count + 1
    assert row["applications"] == ["notes"]
    assert 0.02 < row["cpu"] < 1.3  # a processor, as far as others leave it one
    assert command.servers(host, "bob")[""]["cpu"] < row["cpu"]


def test_the_table_fits_a_terminal_of_80_columns(
    host: Host, accounts: Accounts, browser: OpenBrowser, start_process: StartProcess
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    name = "a-rather-long-name"
    alice.start("alice", name)
    server_id = servers_of(host, "alice")[0].server_id
    application = "an-application-with-a-rather-long-name-too"
    start_process("alice", IDLE, **of_server(server_id, application=application))
    shown = command.at_terminal(host, "unixspawner status")
    assert max(map(len, shown)) <= 80, "\n".join(shown)
    (head,) = [line for line in shown if line.startswith("PERSON")]
    assert head.split() == [
        *("PERSON", "SERVER", "SINCE", "MEMORY", "CPU", "PROCS", "USED", "APPLICATIONS")
    ]
    (cut,) = [line for line in shown if line.endswith("…")]
    assert cut.startswith("alice")
    assert [line for line in shown if f" {name} " in line]  # what is short stays whole
    plain = command.run(host, "status").out
    assert name in plain
    assert application in plain
    assert "\x1b" not in plain


def test_names_that_people_wrote_do_no_harm_to_the_terminal(
    host: Host, accounts: Accounts, start_process: StartProcess
) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    start_process("alice", IDLE, **of_server("ab" * 16, name=evil))
    said = command.run(host, "status", check=False).out
    assert "\\x1b]0;owned\\x07\\x1b[2J\\u202e" in said
    assert not {character for character in said if character in evil} - set("]0;owned[2J")


def test_a_live_view_ends_with_control_c_and_leaves_the_terminal_as_it_was(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    watch = "timeout -s INT 4 unixspawner status --watch --interval 0.5"
    shown = "\n".join(command.at_terminal(host, f"{watch}; echo status $?"))
    looks = shown.split("\x1b[H")[1:]
    assert len(looks) >= 3
    assert all("alice" in look for look in looks)
    assert shown.startswith("\x1b[?1049h")
    assert shown.rstrip().endswith("\x1b[?1049lstatus 0") or "\x1b[?1049l" in looks[-1]


def test_a_live_view_needs_a_terminal(host: Host) -> None:
    result = command.run(host, "status", "--watch", check=False)
    assert result.status == 1
    assert result.err == "Error: --watch needs a terminal; for programs there is --json.\n"


def test_a_start_that_is_under_way_is_shown(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in_only(accounts.alice)
    with held_sessions(host) as release:
        alice.go("hub/spawn/alice")
        assert command.servers(host, "alice")[""]["state"] == "starting"
        release()
        assert list(alice.progress("alice"))[-1].ready
    assert command.servers(host, "alice")[""]["state"] == "running"


def test_status_works_without_the_hub(host: Host, accounts: Accounts, browser: OpenBrowser) -> None:
    browser().sign_in(accounts.alice)
    with without_hub(host):
        result = command.run(host, "status", check=False)
        assert result.status == 3
        assert result.out.startswith("The service does not run.\n")
        assert command.servers(host, "alice")[""]["last_activity"] is None
        assert command.table(host, "status")["hub"]["answers"] is False
    assert command.run(host, "status").out.startswith("The service runs and answers at ")


@pytest.mark.parametrize("part", [parts.HUB, parts.PROXY])
def test_status_says_that_a_service_which_runs_does_not_answer(host: Host, part: str) -> None:
    """For less time than it takes hub and systemd to notice."""
    parts.signal(host, "STOP", part)
    try:
        shown = command.run(host, "status", check=False, timeout=60)
        quiet = command.run(host, "status", "--quiet", check=False, timeout=60)
    finally:
        parts.signal(host, "CONT", part)
    assert (shown.status, quiet.status) == (1, 1)
    assert shown.out.startswith("The service runs but does not answer at ")
    assert (quiet.out, quiet.err) == ("", "")
    parts.wait_until_serving(host)
    assert command.run(host, "status").out.startswith("The service runs and answers at ")


def test_others_than_root_learn_whether_it_runs_and_no_more(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    result = host.as_account("bob", command.COMMAND, "status", check=False)
    assert result.status == 0
    assert "The service runs and answers at" in result.out
    assert "alice" not in result.out
    for words in (("users",), ("doctor",), ("stop", "alice"), ("drain",), ("logs", "alice")):
        refused = host.as_account("bob", command.COMMAND, *words, check=False)
        assert refused.status == 1
        assert refused.err == "Error: This must be run by root: try it with sudo.\n"


# the hub's answers


def test_the_commands_token_may_do_exactly_this(host: Host) -> None:
    token = host.run("cat", "/var/lib/unixspawner/admin-token").out.strip()
    headers = {"Authorization": f"token {token}"}
    answer = httpx.get(f"{host.url}hub/api/user", headers=headers).json()
    assert sorted(answer["scopes"]) == [
        "delete:servers",
        "list:users",
        "read:servers",
        "read:tokens",
        "read:users:activity",
        "read:users:name",
    ]
    for method, path in (("POST", "users/alice/server"), ("POST", "users/alice/tokens")):
        refused = httpx.request(method, f"{host.url}hub/api/{path}", headers=headers)
        assert refused.status_code in (403, 404)


# users


def person(host: Host, name: str) -> dict[str, object]:
    (found,) = [each for each in command.table(host, "users")["people"] if each["name"] == name]
    return dict(found)


def test_users_says_who_is_signed_in_and_who_administers(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    found = person(host, "alice")
    assert (found["trouble"], found["signed_in"], found["servers"]) == ("", True, [""])
    assert found["last_activity"] is not None
    assert found["administrator"] is False
    assert person(host, "carol")["administrator"] is True
    listed = [each["name"] for each in command.table(host, "users")["people"]]
    assert "mallory" not in listed
    alice.sign_out()
    wait_for("the end of the session", lambda: person(host, "alice")["signed_in"] is False)


TROUBLES = {
    "locked": (("usermod", "-L", "bob"), ("usermod", "-U", "bob"), "locked"),
    "expired": (("chage", "-E", "0", "bob"), ("chage", "-E", "-1", "bob"), "expired"),
    "password expired": (
        ("chage", "-d", "0", "bob"),
        ("sh", "-c", "chage -d $(date +%F) bob"),
        "password expired",
    ),
    "no login shell": (
        ("usermod", "-s", "/usr/sbin/nologin", "bob"),
        ("usermod", "-s", "/bin/bash", "bob"),
        "no login shell",
    ),
}


@pytest.mark.parametrize(("change", "restore", "trouble"), TROUBLES.values(), ids=TROUBLES.keys())
def test_users_warns_of_those_who_cannot_sign_in(
    host: Host,
    accounts: Accounts,
    change: tuple[str, ...],
    restore: tuple[str, ...],
    trouble: str,
) -> None:
    assert person(host, "bob")["trouble"] == ""
    with changed(host, change, restore):
        assert person(host, "bob")["trouble"] == trouble
        lines = command.run(host, "users").out.splitlines()
        assert [line for line in lines if line.startswith("bob ") and f"no: {trouble}" in line]


def test_the_table_of_people_fits_a_terminal_of_80_columns(
    host: Host, accounts: Accounts, start_process: StartProcess
) -> None:
    change, restore, trouble = TROUBLES["password expired"]
    name = "a-server-with-a-name-that-is-longer-than-any-table-has-room"
    start_process("alice", IDLE, **of_server("ab" * 16, name=name))
    with changed(host, change, restore):
        shown = command.at_terminal(host, "unixspawner users")
    table = shown[: shown.index("")]  # sentences below it wrap as the terminal does
    assert max(map(len, table)) <= 80, "\n".join(table)
    assert table[0].split("  ")[0] == "PERSON"
    (cut,) = [line for line in table if line.endswith("…")]
    assert cut.startswith("alice ")
    assert [line for line in table if line.startswith("bob ") and f" no: {trouble} " in line]
    assert name in command.run(host, "users").out


def test_users_shows_who_has_a_server_and_is_not_a_member_any_more(
    host: Host, accounts: Accounts, start_process: StartProcess
) -> None:
    start_process("mallory", IDLE, **of_server("cd" * 16))
    found = person(host, "mallory")
    assert (found["trouble"], found["servers"]) == ("not a member", [""])


def test_a_member_by_primary_group_is_listed_and_one_whom_nobody_lists_is_explained(
    host: Host, accounts: Accounts
) -> None:
    group = options(host).users_group
    own = ("usermod", "-g", "mallory", "mallory")
    with changed(host, ("usermod", "-g", group, "mallory"), own):
        assert person(host, "mallory")["trouble"] == ""
    nsswitch = "/etc/nsswitch.conf"
    was = host.run("cat", nsswitch).out
    host.run("sed", "-i", "s/^passwd:.*/passwd: files sss/", nsswitch)
    try:
        remarks = command.table(host, "users")["remarks"]
    finally:
        host.run("tee", nsswitch, stdin=was)
    assert [remark for remark in remarks if remark.startswith("Accounts also come from sss,")]
