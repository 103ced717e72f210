"""The proxy in front of Unix sockets loses no answer, see docs/adr/0007."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from tests.system.accounts import Accounts
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.public_port import connected, head, statuses, until_end

RELEASE = "/opt/unixspawner/current"
POSTS = 300  # one in eight was lost without preload.mjs
# What is left of a request's headers when it comes from an address.
_LEFT = """
import { ConfigurableProxy } from "./node_modules/configurable-http-proxy/lib/configproxy.js";
const log = { debug() {}, info() {}, warn() {}, error() {} };
const [remoteAddress, names] = process.argv.slice(-2);
const headers = Object.fromEntries(names.split(" ").map((name) => [name, "forged"]));
const request = { url: "/", headers, socket: { remoteAddress } };
await new ConfigurableProxy({ log }).targetForReq(request);
console.log(JSON.stringify(Object.keys(request.headers)));
process.exit(0);
"""


def test_no_answer_to_a_form_is_lost_between_proxy_and_hub(browser: OpenBrowser) -> None:
    person = browser()
    # a name that is refused without asking anybody, so that the hub answers at once
    statuses = Counter(person.submit_sign_in("#0", "x").status_code for _ in range(POSTS))
    assert statuses == {403: POSTS}


def test_no_answer_is_lost_to_a_client_that_wants_to_end_the_connection(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """curl and programs say so; a server that heard it would close before the body has come."""
    alice = browser()
    alice.sign_in(accounts.alice)
    request = head(
        host,
        None,
        "POST",
        f"{alice.base}user/alice/x",
        "Content-Length: 4000",
        "Connection: close",
    )
    found: Counter[int] = Counter()
    for _ in range(100):  # several were lost
        with connected(host) as connection:
            connection.sendall(request)
            connection.sendall(b"x" * 4000)
            found.update(statuses(until_end(connection)))
    assert found == {403: 100}


OF_THE_WAY = {f"x-forwarded-{word}" for word in ("for", "host", "port", "proto")}


@pytest.mark.parametrize(
    ("address", "is_believed"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.7", False),
        ("::ffff:192.0.2.7", False),
        ("2001:db8::1", False),
        ("::127.0.0.1", False),
    ],
)
def test_only_this_machine_is_heard_about_the_way_of_a_request(
    host: Host, address: str, is_believed: bool
) -> None:
    """A web server of the administrator's may be there; names that we do not write go anyway."""
    names = OF_THE_WAY | {"forwarded", "x-real-ip", "x-scheme", "x-forwarded-ssl", "accept"}
    node = (f"{RELEASE}/bin/node", "--import", f"{RELEASE}/preload.mjs", "--input-type=module")
    words = ("-e", _LEFT, "--", address, " ".join(sorted(names)))
    left = json.loads(host.run("env", "-C", RELEASE, *node, *words).out)
    assert set(left) == {"accept"} | (OF_THE_WAY if is_believed else set())
