"""What a browser keeps of a sign-in under way: enough to finish it once, and nothing to steal."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.singleuser.fakes import ACCESS, PREFIX, Browser, FakeHub, settings
from tests.unit.singleuser.incoming import Clock, incoming

from unixspawner_singleuser import logins
from unixspawner_singleuser.logins import Logins, challenge
from unixspawner_singleuser.signing import Signer, derive_key


class Tab:
    """One sign-in under way, as the browser and the hub see it."""

    def __init__(self, begun: tuple[str, list[bytes]]) -> None:
        url, cookies = begun
        query = parse_qs(urlsplit(url).query)
        self.state, self.challenge = query["state"][0], query["code_challenge"][0]
        self.cookie = cookies[-1].decode().partition(";")[0]
        self.cleared = [cookie for cookie in cookies[:-1] if b"; Max-Age=0" in cookie]
        assert len(self.cleared) == len(cookies) - 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def under_test(directory: Path, clock: Clock) -> Logins:
    return Logins(settings(directory), Signer(derive_key("k"), clock), clock)


def test_a_login_can_be_finished_once_within_ten_minutes(under_test: Logins, clock: Clock) -> None:
    tab = Tab(under_test.begin(incoming(PREFIX + "a?b=c")))
    clock.now += 600
    finished = under_test.finish(incoming(cookie=tab.cookie), tab.state)
    assert finished is not None
    assert finished.next_url == PREFIX + "a?b=c"
    assert challenge(finished.verifier) == tab.challenge
    assert under_test.finish(incoming(cookie=tab.cookie), tab.state) is None


def test_a_login_of_more_than_ten_minutes_ago_is_over(under_test: Logins, clock: Clock) -> None:
    tab = Tab(under_test.begin(incoming()))
    clock.now += 601
    assert under_test.finish(incoming(cookie=tab.cookie), tab.state) is None


def test_a_cookie_fits_its_own_state_its_own_name_and_its_own_server_only(
    directory: Path, under_test: Logins
) -> None:
    mine, other = Tab(under_test.begin(incoming())), Tab(under_test.begin(incoming()))
    crossed = f"{mine.cookie.partition('=')[0]}={other.cookie.partition('=')[2]}"
    for cookie in ("", other.cookie, crossed, mine.cookie[:-1], mine.cookie + "x"):
        assert under_test.finish(incoming(cookie=cookie), mine.state) is None
    elsewhere = Logins(settings(directory), Signer(derive_key("other")))
    assert elsewhere.finish(incoming(cookie=mine.cookie), mine.state) is None
    assert under_test.finish(incoming(cookie=mine.cookie), mine.state) is not None


def test_a_tossed_cookie_of_the_same_name_changes_nothing(under_test: Logins) -> None:
    tab = Tab(under_test.begin(incoming()))
    tossed = f"{tab.cookie.partition('=')[0]}=tossed"
    request = incoming(cookie=f"{tossed}; {tab.cookie}; {tossed}2")
    assert under_test.finish(request, tab.state) is not None


def test_neither_state_nor_verifier_can_be_read_from_the_cookie(under_test: Logins) -> None:
    tab = Tab(under_test.begin(incoming(PREFIX + "way-back")))
    finished = under_test.finish(incoming(cookie=tab.cookie), tab.state)
    assert finished is not None
    words = tab.cookie.partition("=")[2].split(".")
    decoded = [base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)) for word in words[1:]]
    assert decoded[0] == f"{PREFIX}way-back".encode()
    for secret in (tab.state, finished.verifier):
        assert secret not in tab.cookie
        assert all(secret.encode() not in each for each in decoded)
    assert len(finished.verifier) >= 43  # RFC 7636
    assert finished.verifier not in repr(finished)


def test_no_number_of_strangers_pushes_a_login_out(under_test: Logins) -> None:
    tab = Tab(under_test.begin(incoming()))
    for _ in range(3000):
        under_test.begin(incoming())
    assert under_test.finish(incoming(cookie=tab.cookie), tab.state) is not None


async def test_strangers_do_not_disturb_a_sign_in(
    browser: Browser, hub: FakeHub, directory: Path
) -> None:
    first = await browser.get(PREFIX + "x")
    back = browser.approve(first.headers["Location"], hub.admit("alice", ACCESS))
    stranger = Browser(directory / "server.sock", hub)
    for _ in range(1100):
        stranger.cookies.clear()
        assert (await stranger.get(PREFIX)).status == 302
    await stranger.client.close()
    answer = await browser.get(back)
    assert (answer.status, answer.headers["Location"]) == (302, PREFIX + "x")


def test_what_is_remembered_of_used_states_is_bounded_and_ages(
    under_test: Logins, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "MAX_USED", 20)
    for _ in range(50):
        tab = Tab(under_test.begin(incoming()))
        assert under_test.finish(incoming(cookie=tab.cookie), tab.state) is not None
    assert len(under_test._used) == 20
    clock.now += 601
    tab = Tab(under_test.begin(incoming()))
    under_test.finish(incoming(cookie=tab.cookie), tab.state)
    assert len(under_test._used) == 1


def test_a_state_without_its_cookie_is_not_remembered(under_test: Logins) -> None:
    for number in range(50):
        assert under_test.finish(incoming(), f"state-{number}") is None
    assert len(under_test._used) == 0


def test_of_many_tabs_the_oldest_are_given_up(under_test: Logins, clock: Clock) -> None:
    tabs: list[Tab] = []
    for _ in range(logins.MAX_COOKIES + 2):
        clock.now += 1
        # names are in no order, and a cookie of ours does not become one by its name alone
        jar = "; ".join(sorted(tab.cookie for tab in tabs[-logins.MAX_COOKIES :]))
        tabs.append(Tab(under_test.begin(incoming(cookie=f"{jar}; x-oauth-state-y=1"))))
    assert [len(tab.cleared) for tab in tabs] == [0] * logins.MAX_COOKIES + [1, 1]
    oldest = tabs[1].cookie.partition("=")[0]
    assert tabs[-1].cleared[0].decode().startswith(f"{oldest}=; Path={PREFIX}; ")


def test_their_cookies_stay_small_together(under_test: Logins, clock: Clock) -> None:
    tabs: list[Tab] = []
    for _ in range(8):
        clock.now += 1
        request = incoming(PREFIX + "x" * 1900, cookie="; ".join(tab.cookie for tab in tabs))
        tab = Tab(under_test.begin(request))
        gone = [cookie.decode().partition("=")[0] for cookie in tab.cleared]
        tabs = [each for each in tabs if each.cookie.partition("=")[0] not in gone] + [tab]
        assert sum(len(each.cookie) for each in tabs) <= logins.MAX_COOKIES_SIZE
    assert len(tabs) == 3


def test_a_flood_of_tossed_cookies_does_not_make_an_endless_answer(under_test: Logins) -> None:
    stem = "jupyterhub-user-alice-oauth-state-"
    tossed = "; ".join(f"{stem}{number}={'9' * number}" for number in range(200))
    tab = Tab(under_test.begin(incoming(cookie=tossed)))
    assert len(tab.cleared) == logins.MAX_COOKIES


@pytest.mark.parametrize(
    ("target", "next_url"),
    [
        (PREFIX + "x?" + "y" * 1900, PREFIX + "x?" + "y" * 1900),
        (PREFIX + "x?" + "y" * 2000, PREFIX + "x"),
        (PREFIX + "x" * 2000, PREFIX),
    ],
)
def test_an_address_too_long_for_a_cookie_loses_its_query(
    under_test: Logins, target: str, next_url: str
) -> None:
    tab = Tab(under_test.begin(incoming(target)))
    assert len(tab.cookie) < 4096
    finished = under_test.finish(incoming(cookie=tab.cookie), tab.state)
    assert finished is not None
    assert finished.next_url == next_url
