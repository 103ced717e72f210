"""Who gets in and how: OAuth, cookies, tokens, XSRF, sign-out. One running server, one fake hub."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import (
    ACCESS,
    PREFIX,
    Browser,
    FakeHub,
    FakeUpstream,
    settings,
)

from unixspawner_singleuser.exchanges import Exchanges
from unixspawner_singleuser.settings import Settings


async def test_health_needs_no_session_and_sets_no_cookie(browser: Browser) -> None:
    response = await browser.get(PREFIX + "api")
    assert response.status == 200
    assert (await response.json())["version"]
    assert response.headers["X-JupyterHub-Version"] == "6.1.1"
    assert "Set-Cookie" not in response.headers


async def test_a_stranger_is_sent_to_the_hub(browser: Browser, upstream: FakeUpstream) -> None:
    response = await browser.get(PREFIX + "x?y=1")
    target = urlsplit(response.headers["Location"])
    query = parse_qs(target.query)
    assert (response.status, target.netloc) == (302, "")
    assert target.path == "/@/my%20lab/hub/api/oauth2/authorize"
    assert query["client_id"] == ["jupyterhub-user-alice"]
    assert query["response_type"] == ["code"]
    assert upstream.seen == []
    (cookie,) = response.headers.getall("Set-Cookie")
    assert cookie.startswith("jupyterhub-user-alice-oauth-state-")
    assert cookie.endswith(f"; Path={PREFIX}; SameSite=Lax; Max-Age=600; HttpOnly")


async def test_signing_in_leads_back_to_where_it_began(browser: Browser, hub: FakeHub) -> None:
    response = await browser.sign_in(hub.admit("alice", ACCESS), PREFIX + "a%20b?c=//d")
    assert response.headers["Location"] == PREFIX + "a%20b?c=//d"
    cookies = response.headers.getall("Set-Cookie")
    assert [cookie.partition("=")[0] for cookie in cookies][1:] == [
        "jupyterhub-user-alice",
        "_xsrf",
    ]
    assert cookies[1].endswith(f"; Path={PREFIX}; SameSite=Lax; HttpOnly")
    assert cookies[2].endswith(f"; Path={PREFIX}; SameSite=Lax")
    assert (await browser.get(PREFIX + "x")).status == 200


async def test_behind_https_every_cookie_is_secure(browser: Browser, hub: FakeHub) -> None:
    first = await browser.get(PREFIX, X_Forwarded_Proto="https,http")
    assert "; Secure" in first.headers["Set-Cookie"]
    back = browser.approve(first.headers["Location"], hub.admit("alice", ACCESS))
    response = await browser.get(back, X_Forwarded_Proto="https,http")
    assert all("; Secure" in cookie for cookie in response.headers.getall("Set-Cookie"))


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin"])
async def test_only_pages_are_redirected(browser: Browser, mode: str) -> None:
    for path, fetch_mode in ((PREFIX + "api/contents", "navigate"), (PREFIX + "x", mode)):
        response = await browser.get(path, Sec_Fetch_Mode=fetch_mode)
        assert response.status == 403
        assert "Set-Cookie" not in response.headers
        assert await response.json() == {"message": "You are not signed in here."}


async def test_the_hub_is_asked_once_for_many_requests(alice: Browser, hub: FakeHub) -> None:
    hub.asked.clear()
    await asyncio.gather(*(alice.get(PREFIX + str(number)) for number in range(10)))
    assert hub.asked == []
    alice.cookies["jupyterhub-session-id"] = "session-2"
    await asyncio.gather(*(alice.get(PREFIX + str(number)) for number in range(10)))
    assert hub.asked == ["user"]


async def test_several_tabs_can_sign_in_at_once(browser: Browser, hub: FakeHub) -> None:
    token = hub.admit("alice", ACCESS)
    first = await browser.get(PREFIX + "1")
    second = await browser.get(PREFIX + "2")
    for begun, path in ((second, "2"), (first, "1")):
        back = await browser.get(browser.approve(begun.headers["Location"], token))
        assert back.headers["Location"] == PREFIX + path


async def test_a_state_works_once(browser: Browser, hub: FakeHub) -> None:
    first = await browser.get(PREFIX)
    kept = dict(browser.cookies)
    back = browser.approve(first.headers["Location"], hub.admit("alice", ACCESS))
    assert (await browser.get(back)).status == 302
    # Signed in by now, a reload is harmless; without the session it is an old state.
    assert (await browser.get(back)).headers["Location"] == PREFIX
    browser.cookies = kept
    again = await browser.get(back)
    assert again.status == 403
    assert "Sign in again" in await again.text()
    assert hub.asked.count("token") == 1


async def test_a_state_belongs_to_one_browser(browser: Browser, hub: FakeHub) -> None:
    first = await browser.get(PREFIX)
    back = browser.approve(first.headers["Location"], hub.admit("mallory", ACCESS))
    browser.cookies = {}
    assert (await browser.get(back)).status == 403
    assert "token" not in hub.asked


@pytest.mark.parametrize("query", ["", "?code=1", "?state=1", "?error=%3Cscript%3E"])
async def test_a_broken_callback_is_one_plain_page(browser: Browser, query: str) -> None:
    response = await browser.get(f"{PREFIX}oauth_callback{query}")
    text = await response.text()
    assert response.status == 400
    assert "<script" not in text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_a_silent_hub_is_a_bad_gateway_and_not_a_refusal(
    browser: Browser, hub: FakeHub
) -> None:
    token = hub.admit("alice", ACCESS)
    await browser.sign_in(token)
    hub.status = 503
    browser.cookies["jupyterhub-session-id"] = "another"
    assert (await browser.get(PREFIX + "x")).status == 502
    hub.status = 200
    assert (await browser.get(PREFIX + "x")).status == 200


async def test_a_hub_that_falls_silent_during_sign_in_is_a_bad_gateway(
    browser: Browser, hub: FakeHub
) -> None:
    hub.status = 503
    assert (await browser.sign_in(hub.admit("alice", ACCESS))).status == 502


async def test_somebody_without_access_is_named_and_stays_out(
    browser: Browser, hub: FakeHub, upstream: FakeUpstream
) -> None:
    await browser.sign_in(hub.admit("mallory", "access:servers!server=mallory/"))
    response = await browser.get(PREFIX + "x")
    assert response.status == 403
    assert "mallory" in await response.text()
    assert upstream.seen == []


async def test_a_token_in_a_header_signs_in_without_a_cookie(
    browser: Browser, hub: FakeHub
) -> None:
    token = hub.admit("alice", ACCESS)
    for header in (f"token {token}", f"Bearer {token}", f"bearer   {token}"):
        response = await browser.request(
            "POST", PREFIX + "x", Authorization=header, Sec_Fetch_Mode="cors"
        )
        assert response.status == 200
        assert "Set-Cookie" not in response.headers
    unknown = await browser.get(PREFIX + "api/x", Authorization="token nobody")
    assert unknown.status == 403


async def test_a_token_in_the_url_is_ignored_by_default(browser: Browser, hub: FakeHub) -> None:
    response = await browser.get(f"{PREFIX}x?token={hub.admit('alice', ACCESS)}")
    assert response.status == 302
    assert hub.asked == []


class TestTokenInUrl:
    @pytest.fixture
    def configured(self, directory: Path) -> Settings:
        return settings(directory, JUPYTERHUB_ALLOW_TOKEN_IN_URL="1")

    async def test_it_becomes_a_session_and_never_reaches_the_application(
        self, browser: Browser, hub: FakeHub
    ) -> None:
        token = hub.admit("alice", ACCESS)
        response = await browser.get(f"{PREFIX}x?a=1&token={token}&b=2")
        assert (await response.json())["target"] == "/x?a=1&b=2"
        assert (await browser.get(PREFIX + "x")).status == 200


@pytest.mark.parametrize(
    ("method", "mode", "site", "free"),
    [
        ("GET", "navigate", "none", True),
        ("GET", "navigate", "cross-site", True),
        ("GET", "", "", True),
        ("GET", "no-cors", "same-origin", True),
        ("GET", "no-cors", "cross-site", False),
        ("GET", "cors", "same-origin", False),
        ("GET", "same-origin", "same-origin", False),
        ("POST", "navigate", "same-origin", False),
        ("POST", "navigate", "cross-site", False),
        ("POST", "", "", False),
        ("DELETE", "cors", "same-origin", False),
    ],
)
async def test_what_a_cookie_alone_may_do(
    alice: Browser, method: str, mode: str, site: str, free: bool
) -> None:
    async def ask(path: str, **more: str) -> int:
        fetch = {"Sec_Fetch_Mode": mode, "Sec_Fetch_Site": site}
        return (await alice.request(method, PREFIX + path, **fetch, **more)).status

    token = alice.cookies["_xsrf"]
    assert await ask("x") == (200 if free else 403)
    assert await ask("x", X_XSRFToken=token) == 200
    assert await ask("x", X_CSRFToken=token) == 200
    assert await ask(f"x?_xsrf={token}") == 200
    assert await ask("x", X_XSRFToken="wrong") == (200 if free else 403)


async def test_an_xsrf_token_of_another_session_is_worth_nothing(
    alice: Browser, hub: FakeHub
) -> None:
    own = alice.cookies["_xsrf"]
    alice.cookies = {"jupyterhub-session-id": "session-of-mallory"}
    await alice.sign_in(hub.admit("mallory", ACCESS))
    foreign = alice.cookies["_xsrf"]
    assert foreign != own
    assert (await alice.request("POST", PREFIX + "x", X_XSRFToken=own)).status == 403
    assert (await alice.request("POST", PREFIX + "x", X_XSRFToken=foreign)).status == 200


async def test_a_tossed_xsrf_cookie_is_replaced_at_the_next_page(alice: Browser) -> None:
    own = alice.cookies["_xsrf"]
    header = f"_xsrf=tossed; {alice.headers({})['Cookie']}"
    await alice.get(PREFIX + "x", Cookie=header)
    assert alice.cookies["_xsrf"] == own


async def test_a_tossed_session_cookie_without_a_signature_changes_nothing(
    alice: Browser,
) -> None:
    good = alice.cookies["jupyterhub-user-alice"]
    for tossed in ("x", "1.eA.x", good[:-1], good + "x", "é"):
        for order in ((tossed, good), (good, tossed)):
            cookie = "; ".join(f"jupyterhub-user-alice={value}" for value in order)
            assert (await alice.get(PREFIX + "x", Cookie=cookie)).status == 200


async def test_two_signed_session_cookies_are_refused_without_a_loop(
    alice: Browser, hub: FakeHub
) -> None:
    good = alice.cookies["jupyterhub-user-alice"]
    alice.cookies.clear()
    await alice.sign_in(hub.admit("mallory", ACCESS))
    other = alice.cookies["jupyterhub-user-alice"]
    cookie = f"jupyterhub-user-alice={good}; jupyterhub-user-alice={other}"
    response = await alice.get(PREFIX + "x", Cookie=cookie)
    assert response.status == 403
    assert "Delete the cookies" in await response.text()


async def test_signing_out_ends_the_session_for_a_kept_cookie_too(
    alice: Browser, hub: FakeHub
) -> None:
    kept = dict(alice.cookies)
    response = await alice.get(PREFIX + "logout")
    assert response.headers["Location"] == "/@/my%20lab/hub/logout"
    assert "jupyterhub-user-alice" not in alice.cookies
    alice.cookies = kept
    assert (await alice.get(PREFIX + "x")).status == 302


async def test_signing_in_again_after_signing_out_works(alice: Browser, hub: FakeHub) -> None:
    await alice.get(PREFIX + "logout")
    await alice.sign_in(hub.admit("alice", ACCESS))
    assert (await alice.get(PREFIX + "x")).status == 200


async def test_a_cookie_of_an_earlier_start_is_replaced(alice: Browser, hub: FakeHub) -> None:
    alice.cookies["jupyterhub-user-alice"] = "1700000000.dG9rZW4.bm90LW91cnM"
    await alice.sign_in(hub.admit("alice", ACCESS))
    assert (await alice.get(PREFIX + "x")).status == 200


async def test_other_prefixes_are_not_served(alice: Browser) -> None:
    for path in ("/", "/user/alice/", "/@/my%20lab/user/bob/", "/@%2Fmy%20lab%2Fuser%2Falice%2F"):
        assert (await alice.get(path)).status == 404
    assert (await alice.get("/%40/my%20l%61b/user/alice/x")).status == 200
    bare = await alice.get(PREFIX.rstrip("/") + "?a=1")
    assert bare.headers["Location"] == PREFIX + "?a=1"


NOWHERE = [
    *("apps/x@evil/", "apps/x/", "apps/x", "apps/notes%2f", "apps%2fnotes/", "apps//"),
    *("apps/;x/", "apps/`id`/", "apps/$(id)/", "apps/%24%28id%29/", "apps/-/", "apps/-/x/log"),
]


@pytest.mark.parametrize("path", NOWHERE)
async def test_there_is_no_application_of_that_name(
    alice: Browser, upstream: FakeUpstream, path: str
) -> None:
    assert (await alice.get(PREFIX + path)).status == 404
    assert upstream.seen == []


async def test_no_secret_is_logged(
    alice: Browser, hub: FakeHub, caplog: pytest.LogCaptureFixture, running: Running
) -> None:
    caplog.set_level(logging.DEBUG, "unixspawner_singleuser")
    alice.cookies.clear()
    token = hub.admit("alice", ACCESS)
    await alice.sign_in(token)
    await alice.get(f"{PREFIX}x?token=planted-token&code=planted-code")
    await alice.get(PREFIX + "x", Authorization="Bearer planted-bearer")
    hub.status = 500
    alice.cookies["jupyterhub-session-id"] = "planted-session"
    await alice.get(PREFIX + "x")
    await alice.get(PREFIX + "oauth_callback?code=planted-code&state=planted-state&error=x")
    assert caplog.text
    for secret in (token, "planted", "secret-of-this-server", *alice.cookies.values()):
        assert secret not in caplog.text


async def test_an_open_stream_ends_when_the_hub_withdraws_access(
    alice: Browser, hub: FakeHub, running: Running
) -> None:
    response = await alice.get(PREFIX + "sse")
    await response.content.readline()
    exchanges: Exchanges = running.application.exchanges
    await exchanges.revalidate(running.application.sessions)
    assert len(exchanges._open) == 1
    hub.status = 503
    await exchanges.revalidate(running.application.sessions)
    assert len(exchanges._open) == 1
    hub.status = 200
    hub.tokens.clear()
    await exchanges.revalidate(running.application.sessions)
    await asyncio.wait_for(response.content.read(), 5)
    assert len(exchanges._open) == 0
    assert (await alice.get(PREFIX + "x")).status == 302


async def test_an_address_with_too_many_parameters_is_a_bad_request(browser: Browser) -> None:
    answer = await browser.get("oauth_callback?state=1&" + "&".join(["a=1"] * 1001))
    assert answer.status == 400
    assert "Traceback" not in await answer.text()
