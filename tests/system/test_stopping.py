"""Stop means stopped: the whole tree of that server and nothing else, at whatever moment.

That neither process, socket, token nor route stays is compared after each test by the fixture
`nothing_left_behind`; what tests say themselves is what must be true before anybody clears away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.system import parts, service
from tests.system.accounts import Accounts, changed, processes, replaced_file
from tests.system.as_hub import ask_stop
from tests.system.as_hub import message as request
from tests.system.audit_lines import AuditLines
from tests.system.browserless import Browserless, text_of
from tests.system.database import server_tokens
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.logs import HubLog
from tests.system.parts import HUB, PROXY
from tests.system.people import Process, is_alive, processes_of, servers_of
from tests.system.servers import CHILDREN, FAMILY, LATE, SILENT, server_program
from tests.system.sessions import held_sessions
from tests.system.test_mediator import begin, end, stop_fields

_ROUTES = """
import http.client, json, os, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/unixspawner/proxy-api.sock")
token = open("/var/lib/unixspawner/proxy-token").read()
connection = Connection("proxy")
connection.request("GET", "/api/routes", headers={"Authorization": f"token {token}"})
print(json.dumps(sorted(json.load(connection.getresponse()))))
"""


def routes(host: Host) -> list[str]:
    out = host.as_account(service.options(host).hub_account, "python3", "-I", "-c", _ROUTES).out
    found: list[str] = json.loads(out)
    return found


def commands(host: Host, name: str) -> set[str]:
    return {" ".join(process.command) for process in processes_of(host, name)}


def no_server(person: Browserless, name: str) -> bool:
    return not [s for s in person.servers(name).values() if s["ready"] or s["pending"]]


def assert_nothing_is_left(host: Host, name: str) -> None:
    assert processes(host, name) == []
    assert server_tokens(host) == ()
    assert host.run("find", f"{service.RUN}/servers", "-mindepth", "1").out == ""
    assert [route for route in routes(host) if route.startswith("/user/")] == []


def is_over(host: Host, name: str) -> bool:
    return processes(host, name) == [] and server_tokens(host) == ()


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


# A start that is given up


def ask_for_a_server(person: Browserless) -> None:
    answer = person.fetch("POST", "hub/api/users/alice/server")
    assert answer.status_code == 202, answer.text


def give_up(person: Browserless) -> None:
    answer = person.fetch("DELETE", "hub/api/users/alice/server")
    assert answer.status_code in (202, 204), answer.text
    wait_for("the start to be given up", lambda: no_server(person, "alice"))


def assert_can_start(person: Browserless) -> None:
    assert '<span id="name">alice</span>' in person.start("alice").text


WAITS = """
import asyncio, os
async def wait(spawner):
    while os.path.exists("/run/unixspawner/wait"):
        await asyncio.sleep(0.05)
c.Spawner.pre_spawn_hook = wait
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
"""


def test_given_up_before_sudo_is_asked(host: Host, alice: Browserless) -> None:
    with parts.configured(host, WAITS):
        gate = f"{service.RUN}/wait"
        host.as_account(service.options(host).hub_account, "touch", gate)
        ask_for_a_server(alice)
        give_up(alice)
        host.run("rm", gate)
        assert_nothing_is_left(host, "alice")
        assert_can_start(alice)


def test_given_up_while_its_session_opens(host: Host, alice: Browserless) -> None:
    with held_sessions(host) as release:
        ask_for_a_server(alice)
        wait_for("sudo", lambda: session_is_opening(host))
        give_up(alice)
        assert server_tokens(host) == ()
        release()
        wait_for("sudo to end", lambda: not session_is_opening(host))
    assert_nothing_is_left(host, "alice")
    assert_can_start(alice)


def session_is_opening(host: Host) -> bool:
    return "/mediator start" in host.run("ps", "-ww", "-e", "-o", "args=").out


def test_given_up_while_it_does_not_answer(host: Host, alice: Browserless) -> None:
    with server_program(host, SILENT):
        ask_for_a_server(alice)
        wait_for("the server", lambda: "sleep 1007" in commands(host, "alice"))
        give_up(alice)
        assert_nothing_is_left(host, "alice")
    assert_can_start(alice)


# A start that failed, while what it left is ended

# The hub answers who has asked when the start has failed, and that not.
CLEANS_UP_SLOWLY = WAITS.replace("pre_spawn_hook", "post_stop_hook").replace(": 0}", ": 1}")


def test_who_asks_while_it_is_cleaned_up_after_hears_why_it_failed(
    host: Host, accounts: Accounts, alice: Browserless
) -> None:
    gate = f"{service.RUN}/wait"
    here, away = f"{service.RUN}/servers", f"{service.RUN}/servers.away"
    with (
        parts.configured(host, CLEANS_UP_SLOWLY),
        changed(host, ("mv", here, away), ("mv", away, here)),
    ):
        host.as_account(service.options(host).hub_account, "touch", gate)
        ask_for_a_server(alice)
        wait_for("the stop", lambda: alice.servers("alice")[""]["pending"] == "stop")
        with ThreadPoolExecutor() as pool:
            page = pool.submit(alice.go, "hub/spawn-pending/alice")
            events = pool.submit(lambda: list(alice.progress("alice")))
            assert not page.done()
            host.run("rm", gate)
        assert page.result().status_code == 500
        sentence = "The service cannot make a socket for your server"
        assert sentence in text_of(page.result().text)
        assert sentence in events.result()[-1].message
    assert_can_start(alice)


# A hub that is killed in the middle of a start


def test_killed_while_a_session_opens(host: Host, alice: Browserless) -> None:
    with held_sessions(host) as release:
        ask_for_a_server(alice)
        wait_for("sudo", lambda: session_is_opening(host))
        with parts.replaced(host, HUB):
            parts.signal(host, "KILL", HUB)
        assert server_tokens(host) == ()
        release()
        wait_for("sudo to end", lambda: not session_is_opening(host))
    wait_for("the hub to forget it", lambda: no_server(alice, "alice"))
    assert_nothing_is_left(host, "alice")
    assert_can_start(alice)


@pytest.mark.parametrize("number", ["TERM", "KILL"])
def test_killed_while_a_server_does_not_answer(host: Host, alice: Browserless, number: str) -> None:
    with server_program(host, SILENT):
        ask_for_a_server(alice)
        wait_for("the server", lambda: "sleep 1007" in commands(host, "alice"))
        with parts.replaced(host, HUB):
            parts.signal(host, number, HUB)
        wait_for("the next hub to end it", lambda: is_over(host, "alice"))
    wait_for("the hub to forget it", lambda: no_server(alice, "alice"))
    assert_nothing_is_left(host, "alice")
    assert_can_start(alice)


def test_killed_as_soon_as_a_start_is_written_down(host: Host, alice: Browserless) -> None:
    """Whatever the hub was about to do next."""
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(alice.fetch, "POST", "hub/api/users/alice/server")
        wait_for("the record", lambda: ".json" in host.run("ls", f"{service.RUN}/servers").out)
        with parts.replaced(host, HUB, PROXY):
            parts.signal(host, "KILL", HUB, PROXY)
        assert asked.exception() is None or isinstance(asked.exception(), httpx.TransportError)
    wait_for("the hub to make up its mind", lambda: settled(host, alice))


def settled(host: Host, person: Browserless) -> bool:
    """It runs and is known, or neither."""
    known = person.servers("alice").get("", {})
    if known.get("pending"):
        return False
    return (
        bool(known.get("ready"))
        == (len(server_tokens(host)) == 1)
        == bool(processes(host, "alice"))
    )


# A start that takes too long

# Of the time for a start 15 seconds are for ending it. The hub answers before it is over.
IMPATIENT = """
c.UnixSpawner.start_timeout = 20
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 1}
"""


def failure_of(person: Browserless) -> str:
    """What the person reads: in the events of the start, and on the page afterwards."""
    events = list(person.progress("alice"))
    assert events[-1].failed, events
    page = person.go("hub/spawn-pending/alice")
    assert page.status_code == 500
    said = events[-1].message.removeprefix("Spawn failed: ")
    assert said in text_of(page.text)
    return said


@pytest.fixture(scope="class")
def impatient(host: Host) -> Iterator[None]:
    with parts.configured(host, IMPATIENT):
        yield


@pytest.mark.usefixtures("impatient")
class TestAStartThatTakesTooLong:
    def test_a_start_that_takes_too_long_is_ended_and_said_in_plain_words(
        self, host: Host, alice: Browserless, hub_log: HubLog
    ) -> None:
        with server_program(host, SILENT):
            ask_for_a_server(alice)
            sentence = (
                "Your server was started but has not answered within 10 seconds. Its last lines: "
            )
            said = failure_of(alice)
            assert sentence in said
            assert said.endswith("/ reading a very large file")
            hub_log.wait_for(sentence)
            assert_nothing_is_left(host, "alice")

    def test_a_session_that_does_not_open_is_said_in_plain_words(
        self, host: Host, alice: Browserless, hub_log: HubLog
    ) -> None:
        with held_sessions(host):
            ask_for_a_server(alice)
            sentence = (
                "Your session on this machine has not opened within 10 seconds, a directory "
                "service or a file server may hang: try again later or ask your administrator."
            )
            assert sentence in failure_of(alice)
            hub_log.wait_for(sentence)
            wait_for("the token to go", lambda: server_tokens(host) == ())
        wait_for("sudo to end", lambda: not session_is_opening(host))
        assert_nothing_is_left(host, "alice")


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
    path = "/etc/security/limits.d/unixspawner-test.conf"
    host.run("install", "-m", "0644", "/dev/stdin", path, stdin="alice hard nproc 60\n")
    yield
    host.run("rm", path)


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
