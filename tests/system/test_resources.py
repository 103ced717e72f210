"""What one account, or somebody on the network, can take away from everybody else: not much.

Run as root, as the people of the tests, and from the network.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from tests.system.accounts import Accounts
from tests.system.as_hub import ask_start, ask_stop, message
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, become, wait_for
from tests.system.public_port import connected, head, statuses
from tests.system.service import DEMO_SOCKET, RUN, options

RELEASE = "/opt/unixspawner/current"
# Opens connections until it cannot any more, and holds them until it is told to end.
_HOLD = """
import json, os, resource, select, socket, sys, time
path, number, limit, directory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for _ in range(number):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    try:
        connection.connect(path)
    except OSError:
        break
    held.append(connection)
open(directory + "/holding", "w").close()
while not os.path.exists(directory + "/enough"):
    time.sleep(0.05)
gone = select.poll()
for connection in held:
    gone.register(connection, select.POLLIN)
deadline = time.monotonic() + 20
while len(held) - len(gone.poll(0)) > limit and time.monotonic() < deadline:
    time.sleep(0.05)
print(json.dumps([len(held), len(gone.poll(0))]))
"""


@contextmanager
def holding(
    host: Host, account: str, path: str, number: int, limit: int
) -> Iterator[list[list[int]]]:
    """An account holds idle connections. Yields a list that at the end has [made, ended].

    At the end it waits until no more than `limit` are left, for a while.
    """
    directory = host.run("mktemp", "-d", "/tmp/hold.XXXXXX").out.strip()
    host.run("chmod", "777", directory)
    outcome: list[list[int]] = []

    def hold() -> None:
        program = ("/usr/bin/python3", "-I", "-c", _HOLD, path, str(number), str(limit), directory)
        outcome.append(json.loads(host.as_account(account, *program, timeout=120).out))

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        holds = ("test", "-e", f"{directory}/holding")
        wait_for("the connections", lambda: host.run(*holds, check=False).status == 0)
        yield outcome
    finally:
        host.run("touch", f"{directory}/enough")
        thread.join()
        host.run("rm", "-r", directory)


def test_one_account_cannot_keep_a_shared_application_from_the_others(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    with holding(host, "mallory", DEMO_SOCKET, 1100, 256) as outcome:
        for _ in range(5):
            facts = alice.fetch("GET", "user/alice/whoami").json()
            assert facts["name"] == "alice"
    ((made, ended),) = outcome
    assert made - ended <= 256


def test_one_member_cannot_keep_the_hub_from_the_others(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    with holding(host, "bob", f"{RUN}/hub.sock", 1100, 64) as outcome:
        alice = browser()
        alice.sign_in(accounts.alice)
        assert alice.fetch("GET", "user/alice/whoami").json()["name"] == "alice"
    ((made, ended),) = outcome
    assert made - ended <= 64


# Slow requests


def seconds_until_end(
    host: Host, request: bytes, drip: bytes, limit: float
) -> tuple[float, list[int]]:
    """How long somebody is waited for who goes on to send next to nothing."""
    with connected(host, timeout=0.5) as connection:
        began = time.monotonic()
        received = b""
        connection.sendall(request)
        while time.monotonic() - began < limit:
            try:
                piece = connection.recv(65536)
                if not piece:
                    break
                received += piece
            except TimeoutError:
                try:
                    connection.sendall(drip)
                except OSError:
                    break
            except OSError:
                break
        return time.monotonic() - began, statuses(received)


Ending = tuple[float, list[int]]


def in_parallel(tasks: Mapping[str, Callable[[], Ending]]) -> dict[str, Ending]:
    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = {name: pool.submit(task) for name, task in tasks.items()}
    return {name: future.result() for name, future in futures.items()}


def test_the_proxy_waits_for_nobody_for_ever(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """20 s for a head, 10 s for the rest of what has been answered; looked at every 5 s."""
    alice = browser()
    alice.sign_in(accounts.alice)
    post = head(host, None, "POST", f"{alice.base}user/alice/x", "Content-Length: 9999") + b"ab"
    requests = {
        "nothing at all": (b"", b""),
        "half a head": (b"GET / HTTP/1.1\r\nHost: h", b""),
        "a head, letter by letter": (b"GET / HTTP/1.1\r\nX-", b"x"),
        "half a body of a stranger": (post, b""),
        "a stranger's body, letter by letter": (post, b"x"),
        "a second request that does not come": (post[:-2].replace(b"9999", b"0"), b""),
    }
    tasks = {
        name: partial(seconds_until_end, host, request, drip, 60)
        for name, (request, drip) in requests.items()
    }
    for name, (seconds, codes) in in_parallel(tasks).items():
        is_head = "head" in name or "nothing" in name
        assert seconds < (35 if is_head else 20), (name, seconds)
        assert codes == ([408] if is_head else [403]), name


_SETTINGS = """
import { ConfigurableProxy } from "./node_modules/configurable-http-proxy/lib/configproxy.js";
const log = { debug() {}, info() {}, warn() {}, error() {} };
const { proxyServer, apiServer } = new ConfigurableProxy({ log });
const names = ["headersTimeout", "requestTimeout", "keepAliveTimeout", "maxConnections"];
console.log(JSON.stringify([proxyServer, apiServer].map((s) => names.map((name) => s[name]))));
process.exit(0);
"""


def test_the_bounds_of_the_proxy_do_not_cut_long_uploads(host: Host) -> None:
    """Node itself would end a request that takes more than five minutes, however large it is."""
    node = (f"{RELEASE}/bin/node", "--import", f"{RELEASE}/preload.mjs", "--input-type=module")
    command = ("prlimit", "--nofile=1000", "env", "-C", RELEASE, *node, "-e", _SETTINGS)
    assert json.loads(host.run(*command).out) == [[20000, 0, 5000, 400], [20000, 0, 5000, 400]]


def test_the_proxy_keeps_descriptors_for_its_own_connections(host: Host) -> None:
    """A flood must not keep the proxy from reaching the hub for those whom it let in."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    directory = host.as_account("nobody", "mktemp", "-d", "/tmp/proxy.XXXXXX").out.strip()
    proxy = f"{RELEASE}/node_modules/.bin/configurable-http-proxy"
    command = (f"{RELEASE}/bin/node", "--import", f"{RELEASE}/preload.mjs", proxy)
    words = ("--ip", "127.0.0.1", "--port", port, "--api-socket", f"{directory}/api.sock")
    script = 'exec "$@" >/dev/null 2>&1 </dev/null & echo $!'
    limited = ("prlimit", "--nofile=320", "env", "CONFIGPROXY_AUTH_TOKEN=x", *command, *words)
    pid = host.run("sh", "-c", script, "sh", *become("nobody"), *limited).out.strip()
    flood = []
    try:
        wait_for("the proxy", lambda: _listens(host, port))
        address = host.reach("127.0.0.1", int(port))
        flood = [socket.create_connection(address, 5) for _ in range(100)]
        for connection in flood:
            connection.setblocking(False)
        wait_for("what is too much", lambda: sum(map(_is_ended, flood)) == 40)
    finally:
        host.run("kill", "-KILL", pid)
        for connection in flood:
            connection.close()
        host.run("rm", "-r", directory)


def _listens(host: Host, port: str) -> bool:
    return host.run("ss", "-Hltn", f"sport = :{port}").out != ""


def _is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("length", ["99999999", "5000000"])
def test_the_hub_keeps_no_huge_body_of_a_stranger_in_memory(
    host: Host, browser: OpenBrowser, length: str
) -> None:
    person: Browserless = browser()
    target = f"{person.base}hub/login"
    request = head(host, None, "POST", target, f"Content-Length: {length}") + b"x" * 1000
    with connected(host) as connection:
        connection.sendall(request)
        assert statuses(connection.recv(65536)) == [400]


# The hub chooses whom a server asks

_LISTEN = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
os.chmod(sys.argv[1], 0o600)
while True:
    connection, _ = listener.accept()
    with connection, open(sys.argv[1] + ".heard", "ab") as heard:
        heard.write(b"connected\\n" + connection.recv(65536))
"""


def test_a_hub_cannot_send_a_server_to_a_socket_of_the_person(
    host: Host, accounts: Accounts
) -> None:
    """A container engine's, for instance, which does what its owner asks."""
    directory = host.as_account("alice", "mktemp", "-d", "/tmp/engine.XXXXXX").out.strip()
    engine = f"{directory}/engine.sock"
    script = 'exec "$@" >/dev/null 2>&1 </dev/null & echo $!'
    program = ("/usr/bin/python3", "-I", "-c", _LISTEN, engine)
    pid = host.run("sh", "-c", script, "sh", *become("alice"), *program).out.strip()
    api = f"http+unix://{engine.replace('/', '%2F')}/containers"
    environment = {
        "JUPYTERHUB_API_URL": api,
        "JUPYTERHUB_ACTIVITY_URL": f"{api}/create",
        "JUPYTERHUB_API_TOKEN": "x",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-alice",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": "[]",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/",
        "JUPYTERHUB_USER": "alice",
        "JUPYTERHUB_ACTIVITY_INTERVAL": "0.1",
    }
    log = f"{accounts.alice.home}/.local/state/unixspawner/server.log"
    started: dict[str, object] = {}
    try:
        wait_for("the engine", lambda: host.run("test", "-S", engine, check=False).status == 0)
        started = ask_start(host, message("start", environment=environment)).answer()
        assert started["kind"] == "starting"
        said = "somebody else than the hub listens on the hub's socket"
        wait_for("the refusal", lambda: said in host.run("cat", log, check=False).out)
        heard = host.run("cat", f"{engine}.heard").out
        assert set(heard.splitlines()) == {"connected"}
    finally:
        identity = {name: started[name] for name in ("pid", "start_time", "boot_id") if started}
        if identity:
            ask_stop(host, message("stop", **identity))
        host.run("kill", "-KILL", pid, check=False)
        host.run("rm", "-r", directory)


def test_a_server_takes_no_port_for_the_hub(host: Host, accounts: Accounts) -> None:
    """Nobody can tell who listens there."""
    hub = options(host).hub_account
    launcher = host.run("cat", "/usr/local/libexec/unixspawner/server").out
    assert f"--hub-account {hub} " in launcher
    environment = ("JUPYTERHUB_API_URL=http://127.0.0.1:1/hub/api", "JUPYTERHUB_API_TOKEN=x")
    more = ("JUPYTERHUB_CLIENT_ID=x", "JUPYTERHUB_OAUTH_ACCESS_SCOPES=[]", "JUPYTERHUB_USER=alice")
    server = ("JUPYTERHUB_SERVICE_URL=http://127.0.0.1:0/", "/usr/local/libexec/unixspawner/server")
    refused = host.as_account("alice", "env", *environment, *more, *server, check=False)
    assert refused.status == 1
    assert "JUPYTERHUB_API_URL must name a Unix socket" in refused.err
