"""The one client of all three hubs: starts, stops and visits servers as a person's browser would.

Threads and the standard library, so that the client costs the same little time everywhere.
"""

import http.client
import json
import re
import time
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from .errors import BenchmarkError

_TITLE = re.compile(r"<title>([^<]*)")
TIMEOUT = 240.0  # seconds for one answer


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    body: bytes


@dataclass(frozen=True)
class Hub:
    """A hub behind its proxy on loopback."""

    port: int
    token: str
    tokens: dict[str, str] = field(default_factory=dict)  # the people's own
    titles: dict[str, str] = field(default_factory=dict)  # of the page that each has seen last

    def is_up(self) -> bool:
        try:
            return self._ask("GET", "/hub/api/").status == 200
        except OSError:
            return False

    def add(self, name: str) -> None:
        """Make a person known to the hub, with a token to visit the own server with."""
        _require(self._ask("POST", f"/hub/api/users/{name}"), 201)
        answer = self._ask("POST", f"/hub/api/users/{name}/tokens")
        _require(answer, 201)
        self.tokens[name] = json.loads(answer.body)["token"]

    def start(self, name: str) -> float:
        """Seconds from asking for the server until the progress stream says that it is ready."""
        asked = time.perf_counter()
        _require(self._ask("POST", f"/hub/api/users/{name}/server"), 201, 202)
        self._wait_until_ready(name)
        return time.perf_counter() - asked

    def stop(self, name: str) -> float:
        """Seconds from asking for the end of the server until the hub says that it is gone."""
        asked = time.perf_counter()
        answer = self._ask("DELETE", f"/hub/api/users/{name}/server")
        _require(answer, 202, 204)
        while answer.status == 202 and not self._is_gone(name):
            time.sleep(0.02)
        return time.perf_counter() - asked

    def visit(self, name: str) -> None:
        """Fetch the server's first page as its owner, so that everything it needs is loaded."""
        path = f"/user/{name}/"
        for _ in range(6):
            answer = self._ask("GET", path, self.tokens[name])
            if answer.status == 200:
                found = _TITLE.search(answer.body.decode("utf-8", "replace"))
                self.titles[name] = found.group(1).strip() if found else "no title"
                return
            _require(answer, 301, 302, 303, 307, 308)
            target = urlsplit(urljoin(path, answer.location))
            path = target.path + (f"?{target.query}" if target.query else "")
        raise BenchmarkError(f"The first page of {name}'s server redirects without end.")

    def _is_gone(self, name: str) -> bool:
        answer = self._ask("GET", f"/hub/api/users/{name}")
        _require(answer, 200)
        return not json.loads(answer.body)["servers"]

    def _wait_until_ready(self, name: str) -> None:
        with _Request(self, "GET", f"/hub/api/users/{name}/server/progress") as stream:
            for line in stream:
                if not line.startswith(b"data: "):
                    continue
                event = json.loads(line[6:])
                if event.get("ready"):
                    return
                if event.get("failed"):
                    raise BenchmarkError(f"{name}'s server did not start: {event['message']}")
        raise BenchmarkError(f"The progress of {name}'s server ended without a result.")

    def _ask(self, method: str, path: str, token: str = "") -> Answer:
        with _Request(self, method, path, token) as response:
            return Answer(response.status, response.headers.get("Location", ""), response.read())


class _Request:
    """One request on a connection of its own."""

    def __init__(self, hub: Hub, method: str, path: str, token: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=TIMEOUT)
        self._headers = {"Authorization": f"token {token or hub.token}"}
        self._method, self._path = method, path

    def __enter__(self) -> http.client.HTTPResponse:
        self._connection.request(self._method, self._path, headers=self._headers)
        return self._connection.getresponse()

    def __exit__(self, *error: object) -> None:
        self._connection.close()


def _require(answer: Answer, *expected: int) -> None:
    if answer.status not in expected:
        said = answer.body[:500].decode("utf-8", "replace")
        raise BenchmarkError(f"The hub answered {answer.status}: {said}")
