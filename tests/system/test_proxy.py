"""The proxy in front of Unix sockets loses no answer, see docs/adr/0007."""

from __future__ import annotations

from collections import Counter

from tests.system.accounts import Accounts
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.public_port import connected, head, statuses, until_end

POSTS = 300  # one in eight was lost without preload.mjs


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
