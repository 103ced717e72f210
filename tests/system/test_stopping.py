"""Stop means stopped: the whole tree of that server and nothing else, at whatever moment.

That neither process, socket, token nor route stays is compared after each test by the fixture
`nothing_left_behind`; what tests say themselves is what must be true before anybody clears away.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system import parts, service
from tests.system.accounts import Accounts, changed, processes, replaced_file
from tests.system.as_hub import ask_stop
from tests.system.as_hub import message as request
from tests.system.audit_lines import AuditLines
from tests.system.browserless import Browserless
from tests.system.database import server_tokens
from tests.system.ends import assert_nothing_is_left, commands, is_over, no_server, routes
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.limits import bound_on_processes
from tests.system.logs import HubLog
from tests.system.parts import HUB
from tests.system.people import Process, is_alive, processes_of, servers_of
from tests.system.servers import CHILDREN, FAMILY, LATE, server_program
from tests.system.test_mediator import begin, end, stop_fields


@pytest.fixture
def alice(accounts: Accounts, browser: OpenBrowser) -> Browserless:
    person = browser()
    person.sign_in_only(accounts.alice)
    return person


@pytest.fixture
def family(host: Host, alice: Browserless) -> Iterator[Browserless]:
    """alice with a server whose children went away in every way."""
    with server_program(host, FAMILY):
        alice.start("alice")
    wait_for("all children", lambda: commands(host, "alice") >= CHILDREN)
    yield alice


@pytest.mark.promise(3)
def test_the_whole_tree_ends(host: Host, family: Browserless, hub_log: HubLog) -> None:
    assert [route for route in routes(host) if route.startswith("/user/")] == ["/user/alice"]
    family.stop("alice")
    wait_for("the end of all", lambda: is_over(host, "alice"))
    assert_nothing_is_left(host, "alice")


@pytest.mark.promise(3)
def test_nobody_else_ends_with_it(host: Host, family: Browserless) -> None:
    """Another server of hers, and what she runs by ssh."""
    family.start("alice", "second")
    by_ssh = begin(host, "alice")
    second = [s for s in servers_of(host, "alice") if "/server.second.log" in s.output[1]]
    assert len(second) == 1
    family.stop("alice")
    wait_for("the end of one server", lambda: len(servers_of(host, "alice")) == 1)
    assert commands(host, "alice") & CHILDREN == set()
    assert is_alive(host, second[0])
    assert is_alive(host, by_ssh)
    assert family.fetch("GET", "user/alice/second/whoami").json()["name"] == "alice"
    assert len(server_tokens(host)) == 1
    end(host, by_ssh)


def test_what_lost_its_mark_and_its_parents_before_any_application_ends_too(
    host: Host, alice: Browserless
) -> None:
    with server_program(host, LATE):
        alice.start("alice")
    wait_for("what is lost", lambda: "sleep 1008" in commands(host, "alice"))
    lost = [p for p in processes_of(host, "alice") if p.command == ["sleep", "1008"]]
    assert not [process for process in lost if process.is_server]
    alice.stop("alice")
    wait_for("the end of all", lambda: is_over(host, "alice"))
    assert_nothing_is_left(host, "alice")


@pytest.mark.promise(3)
def test_what_a_server_that_was_killed_leaves_ends_too(host: Host, family: Browserless) -> None:
    server = next(s for s in servers_of(host, "alice") if "unixspawner_singleuser" in s.command)
    host.run("kill", "-KILL", str(server.pid))
    wait_for("the end of all", lambda: is_over(host, "alice"))
    wait_for("the hub to see it", lambda: no_server(family, "alice"))
    assert_nothing_is_left(host, "alice")


def test_what_a_server_leaves_that_was_killed_with_the_hub_ends_too(
    host: Host, family: Browserless
) -> None:
    server = next(s for s in servers_of(host, "alice") if "unixspawner_singleuser" in s.command)
    with parts.replaced(host, HUB):
        parts.signal(host, "KILL", HUB)
        host.run("kill", "-KILL", str(server.pid))
    wait_for("the end of all", lambda: is_over(host, "alice"))
    assert_nothing_is_left(host, "alice")


BLIND = """
from unixspawner.watch import Watch
async def see_nobody(watch):
    pass
Watch._look = see_nobody
"""


def test_somebody_who_left_the_group_is_stopped_as_everybody(
    host: Host, family: Browserless, administrator: Browserless, hub_log: HubLog
) -> None:
    """By an administrator: the hub's own watch, which would be as quick, looks away."""
    audit, group = AuditLines(hub_log), service.options(host).users_group
    leave, come_back = ("gpasswd", "-d", "alice", group), ("usermod", "-aG", group, "alice")
    with parts.configured(host, BLIND), changed(host, leave, come_back):
        administrator.stop("alice")
        wait_for("the end of all", lambda: is_over(host, "alice"))
        assert_nothing_is_left(host, "alice")
        audit.wait_for("event=stop who=carol whom=alice source=127.0.0.1 outcome=ok")
        assert [line for line in audit.all() if "event=revoke" in line] == []


# A stop that fails is made up for


def test_a_stop_that_sudo_refused_is_made_up_for(
    host: Host, family: Browserless, hub_log: HubLog
) -> None:
    with replaced_file(host, service.SUDOERS, None):
        family.stop("alice")
        hub_log.wait_for("Could not stop alice's server: sudo-refused")
        wait_for("the hub to forget it", lambda: no_server(family, "alice"))
        assert server_tokens(host) == ()
        assert commands(host, "alice") >= CHILDREN
    with parts.replaced(host, HUB):  # else it would try again a minute later
        parts.signal(host, "TERM", HUB)
    wait_for("the end of all", lambda: is_over(host, "alice"))
    assert_nothing_is_left(host, "alice")


# Somebody who forks faster than anybody can look

FORKING = """#!/bin/bash
swarm() {
    trap '' TERM
    # a server that cannot make one more thread does not come up
    until grep -qs "Serving /" ~/.local/state/unixspawner/server.log; do sleep 0.2; done
    local over=$((SECONDS + 40))
    while [ $SECONDS -lt $over ]; do
        (exec sleep 0.05) & (exec sleep 0.07) & 2>/dev/null
        wait -n 2>/dev/null
    done
}
for i in 1 2 3; do (swarm) 2>/dev/null & done
exec /usr/local/libexec/unixspawner/server "$@"
"""


@pytest.fixture
def few_processes(host: Host) -> Iterator[None]:
    """alice may have sixty processes and threads."""
    with bound_on_processes(host, "alice", 60):
        yield


def test_who_forks_without_end_is_stopped(
    host: Host, alice: Browserless, few_processes: None
) -> None:
    with server_program(host, FORKING):
        alice.start("alice")
    wait_for("the swarm", lambda: len(processes_of(host, "alice")) > 7)
    alice.stop("alice")
    wait_for("the end of all", lambda: is_over(host, "alice"))
    assert_nothing_is_left(host, "alice")


def test_the_mediator_says_how_many_it_signalled(
    host: Host, family: Browserless, accounts: Accounts
) -> None:
    server: Process = server_of_family(host)
    fields = stop_fields(host, server.pid, server.start_time)
    answer = ask_stop(host, request("stop", server_id=server.server_id, **fields)).answer()
    assert answer["signalled"] >= 1 + len(CHILDREN)
    assert answer["left"] == 0
    assert processes(host, "alice") == []


def server_of_family(host: Host) -> Process:
    return next(s for s in servers_of(host, "alice") if "unixspawner_singleuser" in s.command)


def test_without_a_process_the_mark_alone_tells_what_to_end(
    host: Host, family: Browserless
) -> None:
    server = server_of_family(host)
    unknown = request("stop", server_id="f" * 32, **stop_fields(host, 0, 0))
    assert ask_stop(host, unknown).answer()["signalled"] == 0
    assert is_alive(host, server)
    known = request("stop", server_id=server.server_id, **stop_fields(host, 0, 0))
    assert ask_stop(host, known).answer()["left"] == 0
    assert server_gone(host)


def server_gone(host: Host) -> bool:
    return servers_of(host, "alice") == []
