"""Whether anything is left of a server: processes, token, socket, route. Run by pytest as root."""

from __future__ import annotations

import json

from tests.system import service
from tests.system.accounts import processes
from tests.system.browserless import Browserless
from tests.system.database import server_tokens
from tests.system.host import Host
from tests.system.people import processes_of

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
