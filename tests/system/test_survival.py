"""Hub and proxy end in every way that they can; people's servers go on, and are found again.

What is ended here is ended for real, by TERM or KILL, while alice works.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import websockets.exceptions
from tests.system import parts, service
from tests.system.accounts import Accounts, processes
from tests.system.browserless import Browserless
from tests.system.database import query, server_tokens
from tests.system.host import Host, become, patient, wait_for
from tests.system.logs import HubLog, SudoLog
from tests.system.parts import HUB, PROXY, open_websocket
from tests.system.people import Process, boot_id, is_alive, processes_of, server_of, servers_of

ENDS = [
    pytest.param(number, which, id=f"{number} of {' and '.join(which)}")
    for number in ("TERM", "KILL")
    for which in ((HUB,), (PROXY,), (HUB, PROXY))
]


def is_served(person: Browserless, name: str = "alice") -> bool:
    answer = person.fetch("GET", f"user/{name}/whoami")
    return answer.status_code == 200 and answer.json()["name"] == name


def is_served_again(person: Browserless) -> bool:
    """Asked also while nobody listens."""
    try:
        return is_served(person)
    except httpx.TransportError:
        return False


@pytest.mark.promise(2)
@pytest.mark.parametrize(("number", "which"), ENDS)
def test_the_server_goes_on_and_is_found_again(
    host: Host, alice: Browserless, hub_log: HubLog, number: str, which: tuple[str, ...]
) -> None:
    server = server_of(host, "alice")
    with parts.replaced(host, *which):
        parts.signal(host, number, *which)
    assert is_alive(host, server)
    if HUB in which:
        hub_log.wait_for(f"Adopted alice, process {server.pid}")
    wait_for("alice's route", lambda: is_served(alice))
    assert [len(parts.all_of(host, part)) for part in (HUB, PROXY)] == [1, 1]
    alice.stop("alice")
    wait_for("the end of alice's processes", lambda: processes(host, "alice") == [])


@pytest.mark.parametrize("number", ["TERM", "KILL"])
def test_a_websocket_does_not_notice_the_end_of_the_hub(
    host: Host, alice: Browserless, number: str
) -> None:
    proxy = parts.number_of(host, PROXY)
    with open_websocket(alice, "user/alice/echo") as ask:
        assert ask("before") == "alice: before"
        with parts.replaced(host, HUB):
            parts.signal(host, number, HUB)
            assert ask("without a hub") == "alice: without a hub"
        assert ask("after") == "alice: after"
    assert parts.number_of(host, PROXY) == proxy


@pytest.mark.promise(2)
def test_a_websocket_does_not_notice_a_restart_of_the_service(
    host: Host, alice: Browserless
) -> None:
    server = server_of(host, "alice")
    with open_websocket(alice, "user/alice/echo") as ask:
        assert ask("before") == "alice: before"
        with parts.replaced(host, HUB):
            parts.restart(host)
        assert ask("after") == "alice: after"
    assert is_alive(host, server)
    assert is_served(alice)


def test_after_a_stop_of_the_service_nobody_listens_and_the_server_goes_on(
    host: Host, alice: Browserless
) -> None:
    server = server_of(host, "alice")
    with parts.stopped(host):
        assert [parts.all_of(host, part) for part in (HUB, PROXY)] == [[], []]
        assert is_alive(host, server)
    wait_for("alice's route", lambda: is_served(alice))
    assert is_alive(host, server)


def test_a_proxy_of_other_settings_is_not_taken_over(
    host: Host, alice: Browserless, hub_log: HubLog
) -> None:
    server, proxy = server_of(host, "alice"), parts.number_of(host, PROXY)
    with parts.configured(host, 'c.ConfigurableHTTPProxy.log_level = "warn"\n'):
        hub_log.wait_for(f"Ending a proxy that is not as it should be: {proxy}")
        assert parts.all_of(host, PROXY) == [parts.number_of(host, PROXY)]
        assert parts.number_of(host, PROXY) != proxy
        wait_for("alice's route", lambda: is_served(alice))
    assert is_alive(host, server)


def test_a_proxy_that_no_longer_knows_us_is_ended_and_replaced(
    host: Host, alice: Browserless, hub_log: HubLog
) -> None:
    """As after a backup was put back: the secret that hub and proxy share has changed."""
    proxy = parts.number_of(host, PROXY)
    host.run("rm", "/var/lib/unixspawner/proxy-token")
    with parts.replaced(host, HUB, PROXY):
        parts.signal(host, "KILL", HUB)
    hub_log.wait_for(f"Ending a proxy that is not as it should be: {proxy}")
    assert parts.all_of(host, PROXY) == [parts.number_of(host, PROXY)]
    wait_for("alice's route", lambda: is_served(alice))


def test_a_proxy_that_hangs_is_ended_and_replaced(
    host: Host, alice: Browserless, hub_log: HubLog
) -> None:
    with parts.replaced(host, HUB, PROXY):
        parts.signal(host, "STOP", PROXY)
        parts.signal(host, "KILL", HUB)
    hub_log.wait_for("The proxy that runs does not answer us")
    wait_for("alice's route", lambda: is_served(alice))


def test_a_proxy_that_stands_still_under_a_living_hub_is_ended_and_replaced(
    host: Host, alice: Browserless, hub_log: HubLog
) -> None:
    """Nobody but the hub would notice: the process is there, and takes connections."""
    hub, server = parts.number_of(host, HUB), server_of(host, "alice")
    before = parts.number_of(host, PROXY)
    parts.signal(host, "STOP", PROXY)
    began = time.monotonic()
    try:
        parts.wait_for_another(host, PROXY, before)
        wait_for("alice's route", lambda: is_served_again(alice))
        assert time.monotonic() - began < patient(45)
    finally:
        host.run("kill", "-CONT", str(before), check=False)
    hub_log.wait_for("The proxy does not answer any more: it is ended")
    assert is_alive(host, server)
    assert [parts.all_of(host, part) for part in (HUB, PROXY)] == [
        [hub],
        [parts.number_of(host, PROXY)],
    ]


def test_there_are_never_two_hubs(host: Host) -> None:
    hub = parts.number_of(host, HUB)
    launcher = "/usr/local/libexec/unixspawner/hub"
    second = host.as_account(service.options(host).hub_account, launcher, check=False, timeout=60)
    assert second.status == 1
    assert "Another hub runs already" in second.err
    assert parts.number_of(host, HUB) == hub
    assert service.answers(host.url)


@contextmanager
def second_release(host: Host) -> Iterator[str]:
    """A clone that differs in one line of code, which makes it another release."""
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    clone = f"{folder}/clone"
    try:
        host.run("mkdir", clone)
        what = ("admin", "backend", "config", "mediator", "singleuser", "spawner", "sudoers.d")
        files = ("install", "pyproject.toml", "requirements.lock", "README.md", "LICENSE")
        host.run("cp", "-R", *(f"{host.clone}/{name}" for name in (*what, *files)), clone)
        host.run("sh", "-c", 'echo "# newer" >>"$1"', "sh", f"{clone}/spawner/unixspawner/hub.py")
        yield clone
    finally:
        host.run("rm", "-r", folder)


@contextmanager
def own_demo(host: Host) -> Iterator[str]:
    """An application that is alice's own program: an upgrade starts the shared one anew."""
    path, python = "/etc/unixspawner/apps.d/own.toml", "/opt/unixspawner/current/bin/python"
    words = [python, "-I", "-m", "unixspawner_backend.demo", "--socket", "{socket}"]
    text = f'title = "Own"\ncommand = {json.dumps(words)}\n'
    host.run("install", "-m", "0644", "/dev/stdin", path, stdin=text)
    try:
        yield "user/alice/apps/own/"
    finally:
        host.run("rm", path)


def test_an_upgrade_replaces_the_hub_under_an_open_websocket(
    host: Host, alice: Browserless
) -> None:
    server, proxy = server_of(host, "alice"), parts.number_of(host, PROXY)
    release = host.run("readlink", "/opt/unixspawner/current").out.strip()
    try:
        with second_release(host) as clone, own_demo(host) as place:
            whoami = f"{place}whoami"
            wait_for("the application", lambda: alice.fetch("GET", whoami).status_code == 200)
            with open_websocket(alice, f"{place}echo") as ask:
                assert ask("before") == "alice: before"
                with parts.replaced(host, HUB):
                    host.run(f"{clone}/install", timeout=service.INSTALL_DEADLINE)
                assert ask("after") == "alice: after"
        assert host.run("readlink", "/opt/unixspawner/current").out.strip() != release
        assert parts.number_of(host, PROXY) == proxy
        assert is_alive(host, server)
        assert release in " ".join(server.command)  # it keeps what it was started from
        assert is_served(alice)
    finally:
        service.install(host)


# A number that belongs to somebody else by now

_TAKE_THE_NUMBER = r"""
import os, sys, time
wanted, deadline = int(sys.argv[1]), time.monotonic() + 20
while time.monotonic() < deadline:
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(wanted - 1))
    child = os.fork()
    if child == 0:
        if os.getpid() != wanted:
            os._exit(1)
        os.setsid()
        os.execv(sys.argv[2], sys.argv[2:])
    if child == wanted:
        sys.exit(0)
    os.waitpid(child, 0)
sys.exit(1)
"""


def begin_at(host: Host, name: str, pid: int) -> Process:
    """A process of that person's own, at a certain number."""
    program = ("/usr/bin/python3", "-I", "-c", _TAKE_THE_NUMBER, str(pid))
    script = 'exec "$@" >/dev/null 2>&1 </dev/null'
    who = ("/usr/bin/env", *become(name), "sleep", "300")
    host.run("sh", "-c", script, "sh", *program, *who)

    def find() -> Process | None:
        mine = processes_of(host, name)
        return next((p for p in mine if p.pid == pid and p.command[:1] == ["sleep"]), None)

    return wait_for(f"process {pid} of {name}", find)


def test_a_number_that_another_process_has_by_now_is_neither_adopted_nor_ended(
    host: Host, accounts: Accounts, alice: Browserless, hub_log: HubLog
) -> None:
    server = server_of(host, "alice")
    with parts.stopped(host):
        host.run("kill", "-KILL", str(server.pid))
        wait_for("the end of the server", lambda: not is_alive(host, server))
        stranger = begin_at(host, "alice", server.pid)
    hub_log.wait_for("The server alice has ended meanwhile")
    wait_for("the hub to forget it", lambda: no_server(alice, "alice"))
    assert is_alive(host, stranger)
    assert server_tokens(host) == ()
    host.run("kill", "-KILL", str(stranger.pid))
    wait_for("its end", lambda: not is_alive(host, stranger))


def no_server(person: Browserless, name: str) -> bool:
    return not [s for s in person.servers(name).values() if s["ready"] or s["pending"]]


# A reboot

_OTHER_BOOT = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
rows = connection.execute("SELECT id, state FROM spawners").fetchall()
for number, text in rows:
    state = json.loads(text) if text else {}
    if "unixspawner" in state:
        state["unixspawner"]["boot_id"] = sys.argv[2]
        connection.execute("UPDATE spawners SET state=? WHERE id=?", (json.dumps(state), number))
connection.commit()
"""
EARLIER_BOOT = "11111111-2222-3333-4444-555555555555"


def write_another_boot(host: Host) -> None:
    program = ("/usr/bin/python3", "-I", "-c", _OTHER_BOOT)
    host.as_account(service.options(host).hub_account, *program, service.DATABASE, EARLIER_BOOT)


def test_after_a_reboot_nothing_of_before_is_left(
    host: Host, alice: Browserless, sudo_calls: SudoLog
) -> None:
    """No process, an empty /run, another boot id: the database alone remembers."""
    assert len(server_tokens(host)) == 1
    with parts.stopped(host):
        for server in servers_of(host, "alice"):
            host.run("kill", "-KILL", str(server.pid))
        wait_for("the end of alice's processes", lambda: processes(host, "alice") == [])
        host.run("rm", "-rf", service.RUN)
        write_another_boot(host)
        sudo_calls = sudo_calls.from_now()
    wait_for("the hub to forget it", lambda: no_server(alice, "alice"))
    assert server_tokens(host) == ()
    assert host.run("find", f"{service.RUN}/servers", "-mindepth", "1").out == ""
    assert query(host, "SELECT count(*) FROM servers") == [[0]]
    assert sudo_calls.mediator_calls() == []  # nothing of another boot can be ended
    assert '<span id="name">alice</span>' in alice.start("alice").text


def test_a_server_of_another_boot_is_neither_adopted_nor_ended(
    host: Host, alice: Browserless, sudo_calls: SudoLog
) -> None:
    """Number, start time and owner agree by chance; the boot does not."""
    server = server_of(host, "alice")
    assert boot_id(host) != EARLIER_BOOT
    with parts.stopped(host):
        host.run("rm", "-rf", service.RUN)
        write_another_boot(host)
        sudo_calls = sudo_calls.from_now()
    wait_for("the hub to forget it", lambda: no_server(alice, "alice"))
    assert is_alive(host, server)
    assert sudo_calls.mediator_calls() == []
    assert server_tokens(host) == ()
    host.run("kill", "-KILL", str(server.pid))
    wait_for("its end", lambda: not is_alive(host, server))


def test_what_cuts_a_websocket_is_the_proxys_end(host: Host, alice: Browserless) -> None:
    """So that the tests above cannot be green because nothing is ever cut."""
    with open_websocket(alice, "user/alice/echo") as ask:
        assert ask("before") == "alice: before"
        with parts.replaced(host, PROXY):
            parts.signal(host, "KILL", PROXY)
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            ask("after")


def test_what_was_started_is_written_down_while_it_runs(host: Host, alice: Browserless) -> None:
    server = server_of(host, "alice")
    path = f"{service.RUN}/servers/{server.server_id}.json"
    record = json.loads(host.run("cat", path).out)
    assert (record["user"], record["pid"]) == ("alice", server.pid)
    assert host.run("stat", "-c", "%a", path).out.strip() == "600"
    alice.stop("alice")
    wait_for("the record to go", lambda: host.run("test", "-e", path, check=False).status == 1)
