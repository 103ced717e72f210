"""Many starts and stops of several people while hub and proxy are ended at random: nothing is left.

A few starts here, always the same ones; 200 with tests/soak/run, which prints its seed, so that a
run can be had again.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest
from tests.system import parts, service
from tests.system.accounts import Account, Accounts, processes
from tests.system.browserless import Browserless
from tests.system.database import query, server_tokens
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.parts import HUB, PROXY
from tests.system.test_stopping import routes

STARTS = int(os.environ.get("UNIXSPAWNER_SOAK_STARTS") or 12)
SEED = os.environ.get("UNIXSPAWNER_SOAK_SEED") or "always the same"
PATIENCE = 180.0
TARGETS = ((HUB,), (HUB,), (PROXY,), (HUB, PROXY))


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
    def __init__(self, host: Host, visitors: list[Visitor], seed: str) -> None:
        self._host = host
        self._visitors = visitors
        self._random = random.Random(seed)
        self.figures = Figures()

    def round(self) -> None:
        """Some people start at once, and then stop; now and then something is ended meanwhile."""
        chosen = self._random.sample(self._visitors, self._random.randint(1, 3))
        for act, word in ((Visitor.start, "starts"), (Visitor.stop, "stops")):
            threads = [threading.Thread(target=act, args=(visitor,)) for visitor in chosen]
            for thread in threads:
                thread.start()
            if self._random.random() < 0.25:
                self._kill_something(self._random.uniform(0, 0.8))
            for thread in threads:
                thread.join()
            self.figures.counted[word] += len(chosen)

    def _kill_something(self, after: float) -> None:
        """At a moment that the seed chooses, which is why it is waited for by the clock."""
        time.sleep(after)
        which, number = self._random.choice(TARGETS), self._random.choice(("TERM", "KILL"))
        for part in which:
            pid = parts.running(self._host, part)
            if pid is not None:
                self._host.run("kill", f"-{number}", str(pid), check=False)
                self.figures.counted[f"{part} {number}"] += 1


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
    soak = Soak(host, visitors, SEED)
    began = time.monotonic()
    while soak.figures.counted["starts"] < STARTS:
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
