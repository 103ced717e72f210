"""The proxy in front of Unix sockets loses no answer, see docs/adr/0007."""

from __future__ import annotations

from collections import Counter

from tests.system.fixtures import OpenBrowser

POSTS = 300  # one in eight was lost without preload.mjs


def test_no_answer_to_a_form_is_lost_between_proxy_and_hub(browser: OpenBrowser) -> None:
    person = browser()
    # a name that is refused without asking anybody, so that the hub answers at once
    statuses = Counter(person.submit_sign_in("#0", "x").status_code for _ in range(POSTS))
    assert statuses == {403: POSTS}
