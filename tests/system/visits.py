"""Other ways into the service than a browser's pages: WebSockets, tokens, the proxy's interface.

Run by pytest as root.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
from tests.system.browserless import Browserless
from tests.system.host import DEADLINE, Host
from tests.system.service import RUN, options
from websockets import Origin
from websockets.sync.client import ClientConnection, connect

_SCOPE = re.compile(r'name="scopes" value="([^"]+)"')


@contextmanager
def open_socket(
    host: Host, person: Browserless, owner: str, server: str = ""
) -> Iterator[ClientConnection]:
    """The demo application's WebSocket behind a server, opened as the person's browser does."""
    parts = urlsplit(host.url)
    path = f"user/{owner}/{server + '/' if server else ''}echo"
    scheme = "wss" if parts.scheme == "https" else "ws"
    address = f"{scheme}://{parts.netloc}{parts.path}{path}"
    header = {"Cookie": person.cookie_header(path)}
    origin = f"{parts.scheme}://{parts.netloc}"
    with connect(
        address,
        additional_headers=header,
        origin=Origin(origin),
        open_timeout=DEADLINE,
    ) as socket:
        socket.send("hello")
        assert "hello" in socket.recv(timeout=DEADLINE)
        yield socket


def visit(person: Browserless, owner: str, server: str = "") -> httpx.Response:
    """Open another person's server, and say yes to the hub's question whether one means it."""
    page = person.go(f"user/{owner}/{server + '/' if server else ''}")
    if page.url.path.endswith("/api/oauth2/authorize"):
        path = str(page.url).removeprefix(person.url)
        scopes = [html.unescape(scope) for scope in _SCOPE.findall(page.text)]
        page = person.submit(path, {"scopes": scopes})
    assert page.status_code == 200, page.text
    return page


def token_of(person: Browserless, name: str) -> str:
    """A fresh API token of the hub."""
    person.go("hub/token")
    answer = person.fetch("POST", f"hub/api/users/{name}/tokens")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def whoami(host: Host, token: str) -> httpx.Response:
    """What the hub says to somebody with this token."""
    header = {"Authorization": f"token {token}"}
    return httpx.get(f"{host.url}hub/api/user", headers=header)


# The proxy's token is in the environment of the proxy.
_PROXY_TOKEN = """
import subprocess, sys
command = ("pgrep", "-u", sys.argv[1], "-f", "configurable-http-proxy")
pid = subprocess.check_output(command, text=True).split()[0]
with open(f"/proc/{pid}/environ") as file:
    pairs = [pair.partition("=") for pair in file.read().split(chr(0))]
print(next(value for name, _, value in pairs if name == "CONFIGPROXY_AUTH_TOKEN"))
"""


def routes(host: Host) -> str:
    """What the proxy knows, asked as the hub asks."""
    account = options(host).hub_account
    token = host.run("/usr/bin/python3", "-Ic", _PROXY_TOKEN, account).out.strip()
    header = f"Authorization: token {token}"
    command = ("curl", "-sS", "-H", header, "--unix-socket", f"{RUN}/proxy-api.sock")
    return host.run(*command, "http://localhost/api/routes").out
