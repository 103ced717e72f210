"""Idle servers end by themselves, and none that is used does; with seconds in the place of days."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
from tests.system import parts, service
from tests.system.accounts import Accounts, processes
from tests.system.browserless import Browserless
from tests.system.database import query, server_tokens
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.logs import HubLog
from tests.system.parts import HUB, open_websocket
from tests.system.people import is_alive, server_of, servers_of

IDLE = 6
QUICK = f"""
c.UnixHub.idle_timeout = {IDLE}
c.JupyterHub.last_activity_interval = 1
c.UnixSpawner.environment = {{"JUPYTERHUB_ACTIVITY_INTERVAL": "1"}}
"""
# What the culler adds, and how long it waits before it looks: see unixspawner.culling.lag.
LAG = 31.1
PATIENCE = LAG + IDLE + 40


@pytest.fixture(scope="module", autouse=True)
def _quick(host: Host, accounts: Accounts, administrator: Browserless) -> Iterator[None]:
    with parts.configured(host, QUICK):
        yield


def test_an_idle_server_ends_and_a_used_one_does_not(
    host: Host, accounts: Accounts, alice: Browserless, browser: OpenBrowser, hub_log: HubLog
) -> None:
    """alice's is used over a WebSocket alone, bob's default and named ones have a page open."""
    bob = browser()
    bob.sign_in(accounts.bob)
    bob.start("bob", "second")
    used = server_of(host, "alice")
    stop = threading.Event()
    with (
        open_websocket(alice, "user/alice/echo") as ask,
        open_websocket(bob, "user/bob/echo"),
        open_websocket(bob, "user/bob/second/echo"),
    ):
        answers: list[str] = []

        def keep_asking() -> None:
            while not stop.wait(2):
                answers.append(ask("still here"))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        try:
            wait_for("the end of bob's servers", lambda: servers_of(host, "bob") == [], PATIENCE)
        finally:
            stop.set()
            asking.join()
        assert is_alive(host, used)
        assert set(answers) == {"alice: still here"}
    hub_log.wait_for("Culling server bob (inactive for")
    hub_log.wait_for("Culling server bob/second (inactive for")
    hub_log.wait_for("Audit: event=cull who=service:idle-culler whom=bob ")
    assert "Culling server alice" not in hub_log.text()
    wait_for("the end of bob's processes", lambda: processes(host, "bob") == [])
    wait_for("the end of bob's tokens", lambda: "/bob/" not in " ".join(server_tokens(host)))


def test_use_that_the_hub_did_not_hear_of_counts(
    host: Host, alice: Browserless, hub_log: HubLog
) -> None:
    """During an hour without a hub alice works on; the next hub must not look before it is told."""
    used = server_of(host, "alice")
    with open_websocket(alice, "user/alice/echo") as ask:
        with parts.replaced(host, HUB):
            parts.signal(host, "KILL", HUB)
            began = time.monotonic()
            while time.monotonic() - began < IDLE + 2:
                assert ask("without a hub") == "alice: without a hub"
        make_it_look_long_ago(host)
        began = time.monotonic()
        while time.monotonic() - began < LAG + 5:
            assert ask("with another") == "alice: with another"
    assert is_alive(host, used)
    assert "Culling server alice" not in hub_log.text()


def make_it_look_long_ago(host: Host) -> None:
    """What the database says after a hub was away for a day."""
    statement = "UPDATE spawners SET last_activity = datetime('now', '-1 day')"
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    )
    account = service.options(host).hub_account
    host.as_account(account, "python3", "-I", "-c", program, service.DATABASE, statement)


def test_the_culler_may_do_exactly_what_it_needs(host: Host) -> None:
    rows = query(
        host,
        "SELECT scopes FROM roles JOIN service_role_map ON roles.id = role_id "
        "JOIN services ON services.id = service_id WHERE services.name = 'idle-culler'",
    )
    assert [sorted(json.loads(str(row[0]))) for row in rows] == [
        ["delete:servers", "list:users", "read:servers", "read:users:activity"]
    ]
    assert query(host, "SELECT admin FROM services WHERE name = 'idle-culler'") == [[0]]


def cullers(host: Host) -> list[str]:
    account = service.options(host).hub_account
    command = ("pgrep", "-u", account, "-f", "unixspawner.culling")
    return host.run(*command, check=False).out.split()


def test_the_culler_ends_with_a_hub_that_is_killed(host: Host) -> None:
    (before,) = cullers(host)
    with parts.replaced(host, HUB):
        parts.signal(host, "KILL", HUB)
    wait_for("the end of the old one", lambda: before not in cullers(host))
    assert len(cullers(host)) == 1


def test_zero_hours_end_nothing(host: Host) -> None:
    with parts.configured(host, "c.UnixHub.idle_timeout = 0\n"):
        assert cullers(host) == []
