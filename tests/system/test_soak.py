"""Many starts and stops of several people while hub and proxy are ended at random: nothing is left.

Each server has children that went away from it. A few starts here, always the same ones, and hub
and proxy ended once in every way; 200 with tests/soak/run, which prints its seed, so that a run can
be had again.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from tests.system import parts, service
from tests.system.accounts import Account, Accounts, processes
from tests.system.browserless import Browserless
from tests.system.database import query, server_tokens
from tests.system.ends import routes
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.parts import HUB, PROXY
from tests.system.servers import CHILDREN, FAMILY, server_program

STARTS = int(os.environ.get("UNIXSPAWNER_SOAK_STARTS") or 12)
SEED = os.environ.get("UNIXSPAWNER_SOAK_SEED") or "the same every time"
PATIENCE = 180.0
STARTED, STOPPED, SEEN = "starts", "stops", "children of servers seen"


@dataclass(frozen=True)
class Kill:
    """One way to end parts of the service."""

    number: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number} of {' and '.join(self.parts)}"


KILLS = [Kill(n, which) for n in ("KILL", "TERM") for which in ((HUB,), (PROXY,), (HUB, PROXY))]


@dataclass
class Figures:
    counted: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self.counted.items()))


@dataclass(frozen=True)
class Visitor:
    """Somebody who goes on trying, as people do, while the service comes and goes."""

    browser: Browserless
    name: str
    server: str

    def state(self) -> str:
        """What the hub says of the server: `ready`, `pending`, `none`, or `away` without a hub."""
        try:
            answer = self.browser.fetch("GET", f"hub/api/users/{self.name}")
        except httpx.TransportError:
            return "away"
        if answer.status_code != 200:
            return "away"
        model = answer.json().get("servers", {}).get(self.server)
        if model is None or not (model["ready"] or model["pending"]):
            return "none"
        return "ready" if model["ready"] else "pending"

    def ask(self, method: str) -> None:
        which = f"servers/{self.server}" if self.server else "server"
        try:
            self.browser.fetch(method, f"hub/api/users/{self.name}/{which}")
        except httpx.TransportError:
            return

    def bring_to(self, wanted: str, method: str) -> None:
        def look() -> bool:
            state = self.state()
            if state == wanted:
                return True
            if state in ("ready", "none"):
                self.ask(method)
            return False

        wait_for(f"{self.name}/{self.server} to be {wanted}", look, PATIENCE)

    def start(self) -> None:
        self.bring_to("ready", "POST")

    def stop(self) -> None:
        self.bring_to("none", "DELETE")


class Soak:
    def __init__(self, host: Host, people: list[Account], visitors: list[Visitor]) -> None:
        self._host = host
        self._numbers = ",".join(str(person.uid) for person in people)
        self._visitors = visitors
        self._random = random.Random(SEED)
        self._due = self._random.sample(KILLS, len(KILLS))
        self.figures = Figures()

    def is_over(self) -> bool:
        return self.figures.counted[STARTED] >= STARTS and not self._due

    def round(self) -> None:
        """Some people start at once, and then stop; now and then something is ended meanwhile."""
        chosen = self._random.sample(self._visitors, self._random.randint(1, 3))
        self._let(chosen, Visitor.start, STARTED)
        self.figures.counted[SEEN] += self._children()
        self._let(chosen, Visitor.stop, STOPPED)

    def _let(self, chosen: list[Visitor], act: Callable[[Visitor], None], word: str) -> None:
        threads = [threading.Thread(target=act, args=(visitor,)) for visitor in chosen]
        for thread in threads:
            thread.start()
        if self._random.random() < (0.5 if self._due else 0.25):
            self._kill_something(self._random.uniform(0, 0.8))
        for thread in threads:
            thread.join()
        self.figures.counted[word] += len(chosen)

    def _kill_something(self, after: float) -> None:
        """At a moment that the seed chooses, which is why it is waited for by the clock.

        Each way has its turn before any comes again: a few throws of a die may miss one.
        """
        time.sleep(after)
        kill = self._due.pop() if self._due else self._random.choice(KILLS)
        wait_for(f"the {kill}", lambda: self._has_ended(kill), PATIENCE)
        self.figures.counted[str(kill)] += 1

    def _has_ended(self, kill: Kill) -> bool:
        """All of the parts at once. What was ended a moment ago may not be back yet."""
        pids = [parts.running(self._host, part) for part in kill.parts]
        if None in pids:
            return False
        command = ("kill", f"-{kill.number}", *(str(pid) for pid in pids))
        return self._host.run(*command, check=False).status == 0

    def _children(self) -> int:
        lines = processes(self._host, self._numbers)
        return len([line for line in lines if line.split(maxsplit=3)[3] in CHILDREN])


def left_over(host: Host, people: list[Account]) -> dict[str, int]:
    files = host.run("find", f"{service.RUN}/servers", "-mindepth", "1").out.split()
    commands = host.run("ps", "-ww", "-e", "-o", "args=").out.splitlines()
    return {
        "processes": sum(len(processes(host, person.name)) for person in people),
        "sudo of servers": len([line for line in commands if line.endswith("/mediator start")]),
        "sockets": len([name for name in files if name.endswith(".sock")]),
        "records": len([name for name in files if name.endswith(".json")]),
        "tokens": len(server_tokens(host)),
        "servers in the database": int(str(query(host, "SELECT count(*) FROM servers")[0][0])),
        "routes": len([route for route in routes(host) if route.startswith("/user/")]),
        "hubs beside the one": len(parts.all_of(host, HUB)) - 1,
        "proxies beside the one": len(parts.all_of(host, PROXY)) - 1,
    }


def test_nothing_is_left_after_many_starts_stops_and_kills(
    host: Host, accounts: Accounts, browser: OpenBrowser, pytestconfig: pytest.Config
) -> None:
    people = [accounts.alice, accounts.bob, accounts.carol]
    visitors = []
    for person in people:
        for server in ("", "second"):
            visitor = Visitor(browser(), person.name, server)
            visitor.browser.sign_in_only(person)
            visitors.append(visitor)
    soak = Soak(host, people, visitors)
    began = time.monotonic()
    with server_program(host, FAMILY):
        while not soak.is_over():
            soak.round()
    parts.wait_until_serving(host)
    nothing = dict.fromkeys(left_over(host, people), 0)
    try:
        wait_for("nothing to be left", lambda: left_over(host, people) == nothing, PATIENCE)
    finally:
        left = left_over(host, people)
        reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")
        assert reporter is not None
        reporter.write_line(
            f"\nsoak, seed {SEED}: {soak.figures} in {time.monotonic() - began:.0f} s; "
            f"left over: {', '.join(f'{count} {what}' for what, count in left.items())}"
        )
    assert left == nothing
    must_have_been = [SEEN, *(str(kill) for kill in KILLS)]
    assert [what for what in must_have_been if not soak.figures.counted[what]] == []
