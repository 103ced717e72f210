"""Whoever leaves, is locked, expires or is removed loses everything within ten seconds.

On real accounts, with real commands. The times are printed (pytest -s); ten seconds is the promise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import pytest
from tests.system import parts
from tests.system.accounts import (
    Account,
    Accounts,
    changed,
    end_processes,
    processes,
    replaced_file,
)
from tests.system.audit_lines import AuditLines
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, patient, wait_for
from tests.system.live import (
    PROMISE,
    assert_is_in,
    assert_is_out,
    expired,
    left,
    locked,
    lose_sight_of_a_child,
    out_of_the_group,
    removed,
    seconds_until_gone,
    seconds_until_out,
)
from tests.system.logs import HubLog, is_sudo_rs
from tests.system.people import is_alive, server_of, servers_of
from tests.system.service import RUN, SUDOERS, options, service_command
from tests.system.sessions import held_sessions
from tests.system.test_mediator import begin, end
from tests.system.visits import open_socket, token_of, visit, whoami
from websockets.exceptions import ConnectionClosed

YESTERDAY = time.strftime("%F", time.gmtime(time.time() - 86400))

Leave = Callable[[Host, Account], AbstractContextManager[None]]


@dataclass(frozen=True)
class Way:
    """A command that ends a person's being here, and the word for it in the audit stream."""

    name: str
    leave: Leave
    reason: str


WAYS = [
    Way("gpasswd -d", out_of_the_group, "left-group"),
    Way("usermod -L", locked, "locked"),
    Way("chage -E 0", expired, "expired"),
    Way("chage -E yesterday", partial(expired, date=YESTERDAY), "expired"),
    Way("userdel -f", removed, "no-account"),
]


def names(ways: list[Way]) -> list[str]:
    return [way.name for way in ways]


@pytest.fixture
def audit(hub_log: HubLog) -> AuditLines:
    return AuditLines(hub_log)


def skip_without_a_stop_by_number(host: Host) -> None:
    if is_sudo_rs(host):
        pytest.skip("sudo-rs acts for no number without a name: docs/administrators.md says so")


@pytest.mark.promise(1)
@pytest.mark.parametrize("way", WAYS, ids=names(WAYS))
def test_everything_ends(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines, way: Way
) -> None:
    """Two servers, what they started, a WebSocket, a session, a token; and nothing else."""
    if way.leave is removed:
        skip_without_a_stop_by_number(host)
    alice = browser()
    alice.sign_in(accounts.alice)
    alice.start("alice", "lab")
    token = token_of(alice, "alice")
    neighbour = browser()
    neighbour.sign_in(accounts.bob)
    bystander = begin(host, "alice")  # as if it came from ssh
    lose_sight_of_a_child(host, "alice", servers_of(host, "alice")[0].server_id)
    ending = servers_of(host, "alice")
    assert len({process.server_id for process in ending}) == 2
    with open_socket(host, alice, "alice") as socket:
        begun = time.monotonic()
        with way.leave(host, accounts.alice):
            taken = seconds_until_gone(host, ending, begun)
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=patient(left(begun)))
            out = seconds_until_out(host, alice, token, ending, begun)
            print(f"\n{way.name}: {taken:.1f} s to the end of the last process", flush=True)
            print(f"{way.name}: {out:.1f} s to that of token, session, routes and sockets")
            audit.wait_for("event=stop who=unixspawner whom=alice outcome=ok")
            audit.wait_for("event=stop who=unixspawner whom=alice/lab outcome=ok")
            assert_is_out(host, alice, "alice", token)
            answer = browser().submit_sign_in("alice", accounts.alice.password)
            assert answer.status_code == 403
            assert is_alive(host, bystander)
    assert [line for line in audit.all() if "event=revoke" in line] == [
        f"event=revoke who=unixspawner whom=alice outcome=ok reason={way.reason}"
    ]
    assert neighbour.fetch("GET", "user/bob/whoami").json()["name"] == "bob"
    assert '<span id="name">alice</span>' in browser().sign_in(accounts.alice).text
    end(host, bystander)


def test_a_primary_group_lets_in_and_another_one_ends_all(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    """Membership that stands in the account's line, and in no line of the group's."""
    join = ("usermod", "-g", options(host).users_group, "mallory")
    leave = ("usermod", "-g", "mallory", "mallory")
    mallory = browser()
    with changed(host, join, leave):
        assert '<span id="name">mallory</span>' in mallory.sign_in(accounts.mallory).text
        token = token_of(mallory, "mallory")
        server = server_of(host, "mallory")
        assert_is_in(host, mallory, server, token)
        begun = time.monotonic()
    seconds_until_gone(host, [server], begun)
    seconds_until_out(host, mallory, token, [server], begun)
    audit.wait_for("event=revoke who=unixspawner whom=mallory outcome=ok reason=left-group")
    assert_is_out(host, mallory, "mallory", token)


def test_a_start_that_is_pending_does_not_come_through(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    alice = browser()
    alice.sign_in_only(accounts.alice)
    with held_sessions(host) as release:
        assert "/hub/spawn-pending/" in alice.go("hub/spawn/alice").url.path
        with out_of_the_group(host, accounts.alice):
            audit.wait_for(
                "event=start who=alice whom=alice source=127.0.0.1 outcome=failed reason=given-up"
            )
            assert alice.go("hub/home").url.path.endswith("/hub/login")
            release()
            # sudo goes on now, and the mediator finds that nobody waits for it
            wait_for("the end of sudo", lambda: sudo_for(host, "alice") == "")
            wait_for("the end of the mediators", lambda: processes(host, "alice") == [])
    assert audit.about("alice")[1:] == [
        "event=revoke who=unixspawner whom=alice outcome=ok reason=left-group",
        "event=start who=alice whom=alice source=127.0.0.1 outcome=failed reason=given-up",
    ]


def sudo_for(host: Host, name: str) -> str:
    return host.run("pgrep", "-f", f"sudo .* -u {name} ", check=False).out


@pytest.mark.promise(1)
def test_who_comes_back_is_served_at_once(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    ending = servers_of(host, "alice")
    with out_of_the_group(host, accounts.alice):
        seconds_until_gone(host, ending, time.monotonic())
    assert '<span id="name">alice</span>' in browser().sign_in(accounts.alice).text


def test_a_server_that_does_not_end_by_itself_is_ended(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    """Stopped by its owner with SIGSTOP, and its account has no name any more."""
    skip_without_a_stop_by_number(host)
    browser().sign_in(accounts.alice)
    (server,) = servers_of(host, "alice")
    host.run("kill", "-STOP", str(server.pid))
    begun = time.monotonic()
    with removed(host, accounts.alice):
        taken = seconds_until_gone(host, [server], begun)
        print(f"\nstopped and nameless: {taken:.1f} s", flush=True)
        audit.wait_for("event=stop who=unixspawner whom=alice outcome=ok")


def test_a_server_ends_by_itself_where_sudo_cannot_end_it(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    """As with sudo-rs, which acts for no number without a name."""
    browser().sign_in(accounts.alice)
    lose_sight_of_a_child(host, "alice", servers_of(host, "alice")[0].server_id)
    ending = servers_of(host, "alice")
    with replaced_file(host, SUDOERS, None):
        begun = time.monotonic()
        with removed(host, accounts.alice):
            taken = seconds_until_gone(host, ending, begun)
            print(f"\nwithout sudo: {taken:.1f} s", flush=True)
            audit.wait_for("event=stop who=unixspawner whom=alice outcome=failed reason=no-account")
    with parts.replaced(host, parts.HUB):  # else what could not be made sure of is, a minute later
        parts.signal(host, "TERM", parts.HUB)
    where = ("find", f"{RUN}/servers", "-name", "*.json")
    wait_for("the end of the record", lambda: host.run(*where).out == "")


def test_whoever_has_the_number_next_is_left_alone(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    (server,) = servers_of(host, "alice")
    host.run("kill", "-STOP", str(server.pid))  # so that it has to be killed, some seconds later
    heir, number = accounts.mallory, str(accounts.alice.uid)
    take = ("usermod", "-o", "-u", number, heir.name)
    begun = time.monotonic()
    give_back = ("usermod", "-u", str(heir.uid), heir.name)
    with removed(host, accounts.alice), changed(host, take, give_back):
        bystander = begin(host, heir.name)
        assert is_alive(host, server)
        seconds_until_gone(host, [server], begun)
        assert is_alive(host, bystander)
        end(host, bystander)
        end_processes(host, number)  # systemd's own too, or usermod refuses


def test_another_account_of_the_same_name_inherits_nothing(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    skip_without_a_stop_by_number(host)
    alice = browser()
    alice.sign_in(accounts.alice)
    token = token_of(alice, "alice")
    ending = servers_of(host, "alice")
    entry = host.run("getent", "passwd", "alice").out
    other = entry.replace(f":{accounts.alice.uid}:", f":{accounts.alice.uid + 5000}:", 1)
    text = host.run("cat", "/etc/passwd").out
    with replaced_file(host, "/etc/passwd", text.replace(entry, other)):
        seconds_until_gone(host, ending, time.monotonic())
        audit.wait_for("event=revoke who=unixspawner whom=alice outcome=ok reason=uid-changed")
        assert_is_out(host, alice, "alice", token)


def test_who_leaves_while_the_hub_is_away_is_out_when_it_is_back(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    alice, bob = browser(), browser()
    alice.sign_in(accounts.alice)
    bob.sign_in(accounts.bob)
    tokens = {person: token_of(page, person) for person, page in (("alice", alice), ("bob", bob))}
    ending, staying = servers_of(host, "alice"), server_of(host, "bob")
    host.run(*service_command(host, "stop"))
    try:
        with out_of_the_group(host, accounts.alice):
            host.run(*service_command(host, "start"), timeout=120)
            seconds_until_gone(host, ending, time.monotonic())
            audit.wait_for("event=stop who=unixspawner whom=alice outcome=ok")
            assert_is_out(host, alice, "alice", tokens["alice"])
            assert_is_in(host, bob, staying, tokens["bob"])
            assert audit.about("alice")[-3:] == [
                "event=adopt who=unixspawner whom=alice outcome=ok",
                "event=revoke who=unixspawner whom=alice outcome=ok reason=left-group",
                "event=stop who=unixspawner whom=alice outcome=ok",
            ]
    finally:
        host.run(*service_command(host, "start"), timeout=120)


def test_administrators_follow_their_group_both_ways(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    """Rights count in sessions and tokens that are open, and a visit ends."""
    group = options(host).admins_group
    alice, bob = browser(), browser()
    alice.sign_in(accounts.alice)
    bob.sign_in_only(accounts.bob)
    token = token_of(bob, "bob")
    assert bob.fetch("GET", "hub/api/users/alice").status_code == 404
    begun = time.monotonic()
    host.run("usermod", "-aG", group, "bob")
    audit.wait_for("event=grant who=unixspawner whom=bob outcome=ok reason=joined-admins")
    print(f"\njoined-admins: {time.monotonic() - begun:.1f} s", flush=True)
    assert time.monotonic() - begun < PROMISE
    assert bob.fetch("GET", "hub/api/users/alice").json()["name"] == "alice"
    assert "admin:users" in whoami(host, token).json()["scopes"]
    visit(bob, "alice")
    with open_socket(host, bob, "alice") as socket:
        begun = time.monotonic()
        host.run("gpasswd", "-d", "bob", group)
        audit.wait_for("event=revoke who=unixspawner whom=bob outcome=ok reason=left-admins")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PROMISE)
        print(f"left-admins: {time.monotonic() - begun:.1f} s", flush=True)
        assert time.monotonic() - begun < PROMISE
    assert bob.fetch("GET", "hub/api/users/alice").status_code == 404
    assert "admin:users" not in whoami(host, token).json()["scopes"]
    assert bob.fetch("GET", "user/alice/whoami").status_code == 403
    assert bob.go("hub/home").url.path.endswith("/hub/home")
    assert alice.fetch("GET", "user/alice/whoami").json()["name"] == "alice"


def test_a_visitor_who_is_put_out_leaves_the_server_of_another_person(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice, bob = browser(), browser()
    alice.sign_in(accounts.alice)
    with changed(
        host,
        ("usermod", "-aG", options(host).admins_group, "bob"),
        ("gpasswd", "-d", "bob", options(host).admins_group),
    ):
        bob.sign_in_only(accounts.bob)
        visit(bob, "alice")
        with open_socket(host, bob, "alice") as socket, out_of_the_group(host, accounts.bob):
            begun = time.monotonic()
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=PROMISE)
            print(f"\na visitor: {time.monotonic() - begun:.1f} s", flush=True)
            assert bob.fetch("GET", "user/alice/whoami").status_code == 403
    assert alice.fetch("GET", "user/alice/whoami").json()["name"] == "alice"
