"""A start that does not come to its end: given up, failed, too slow, or its hub was killed.

What is left behind is compared after each test, as in test_stopping.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.system import parts, service
from tests.system.accounts import Accounts, processes
from tests.system.browserless import Browserless, text_of
from tests.system.database import server_tokens
from tests.system.ends import assert_nothing_is_left, commands, is_over, no_server
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.logs import HubLog
from tests.system.parts import HUB, PROXY
from tests.system.servers import SILENT, server_program, without_sockets
from tests.system.sessions import held_sessions


@pytest.fixture
def alice(accounts: Accounts, browser: OpenBrowser) -> Browserless:
    person = browser()
    person.sign_in_only(accounts.alice)
    return person


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
    host: Host, alice: Browserless
) -> None:
    gate = f"{service.RUN}/wait"
    with parts.configured(host, CLEANS_UP_SLOWLY), without_sockets(host):
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
