"""Who gets into a person's server, and how they are let out again, through the real proxy.

Each is an attack that worked on somebody, see docs/threats.md.
"""

from __future__ import annotations

from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from tests.system.accounts import Accounts
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.people import server_of
from tests.system.public_port import answer_to, head, statuses
from tests.system.puppet import Puppet, told
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

SESSION = "jupyterhub-user-alice"


def open_websocket(host: Host, path: str, cookies: str, origin: str = "") -> ClientConnection:
    """What a page's script does: the browser adds cookies and origin."""
    url = host.url.replace("http", "ws", 1) + path
    headers = {"Cookie": cookies} if cookies else {}
    own = urlsplit(host.url)
    return connect(
        url,
        additional_headers=headers,
        origin=Origin(origin or f"{own.scheme}://{own.netloc}"),
        proxy=None,
    )


def status_of_websocket(host: Host, path: str, cookies: str, origin: str = "") -> int:
    """The status of the refusal; 101 when it opens."""
    try:
        with open_websocket(host, path, cookies, origin):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def value_of(cookies: str, name: str) -> str:
    return next(
        pair.partition("=")[2] for pair in cookies.split("; ") if pair.startswith(f"{name}=")
    )


def test_a_websocket_without_a_good_session_never_reaches_the_application(
    host: Host, accounts: Accounts, puppet: Puppet, browser: OpenBrowser
) -> None:
    alice, bob = browser(), browser()
    alice.sign_in(accounts.alice)
    bob.sign_in(accounts.bob)
    at = f"{alice.base}user/alice/"
    ours, _ = alice.credentials(at)
    theirs, _ = bob.credentials(f"{bob.base}user/bob/")
    session = value_of(ours, SESSION)
    foreign = value_of(theirs, "jupyterhub-user-bob")
    puppet.forget()
    for cookies in (
        "",
        theirs,
        f"{SESSION}={foreign}",
        f"{SESSION}={session[:-1]}",
        f"{SESSION}={session}x; {theirs}",
        f"{SESSION}=1.{session.partition('.')[2]}",  # as old as the signature is not
    ):
        assert status_of_websocket(host, "user/alice/ws", cookies) == 403, cookies
    for origin in ("http://evil.example", f"{host.url.rstrip('/')}.evil.example", "null"):
        assert status_of_websocket(host, "user/alice/ws", ours, origin) == 403, origin
    alice.go("user/alice/logout")
    assert status_of_websocket(host, "user/alice/ws", ours) == 403  # ended, and kept
    assert puppet.received() == []


def test_signing_out_ends_every_tab_with_its_websocket(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    at = f"{alice.base}user/alice/"
    kept, _ = alice.credentials(at)
    with ExitStack() as stack:
        opened = [open_websocket(host, "user/alice/echo", kept) for _ in range(2)]
        tabs = [stack.enter_context(each) for each in opened]
        for tab in tabs:
            tab.send("x")
            assert tab.recv(timeout=20) == "alice: x"
        alice.go("user/alice/logout")
        for tab in tabs:
            with pytest.raises(ConnectionClosed) as closed:
                tab.recv(timeout=20)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
    assert status_of_websocket(host, "user/alice/echo", kept) == 403
    request = head(host, None, "GET", f"{at}whoami", f"Cookie: {kept}", "Connection: close")
    assert statuses(answer_to(host, request)) == [302]  # to the hub, as every stranger
    assert alice.go("hub/home").url.path.endswith("/hub/login")


# Cookies that another page of the site has set


def test_tossed_cookies_change_nothing(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    at = f"{alice.base}user/alice/"
    good, token = alice.credentials(at)

    def ask(method: str, cookies: str, *lines: str) -> int:
        more = (f"Cookie: {cookies}", "Connection: close", "Content-Length: 0", *lines)
        (status,) = statuses(answer_to(host, head(host, None, method, f"{at}whoami", *more)))
        return status

    tossed = [
        f"{SESSION}=x",
        f"{SESSION}={value_of(good, SESSION)[:-2]}",
        f'{SESSION}="',
        "_xsrf=x",
    ]
    for each in tossed:
        for cookies in (f"{each}; {good}", f"{good}; {each}", f"{each}; {good}; {each}"):
            assert ask("GET", cookies) == 200, cookies
            assert ask("POST", cookies, f"X-XSRFToken: {token}") == 405, cookies
            assert ask("POST", cookies, "X-XSRFToken: x") == 403, cookies
    assert ask("GET", f"{SESSION}=x; _xsrf=x") == 302


def test_two_good_sign_ins_at_once_are_refused(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice, carol = browser(), browser()
    alice.sign_in(accounts.alice)
    at = f"{alice.base}user/alice/"
    carol.sign_in_only(accounts.carol)
    assert carol.visit("user/alice/").url.path == at
    slipped_in = value_of(carol.credentials(at)[0], SESSION)
    cookies = f"{SESSION}={slipped_in}; {alice.credentials(at)[0]}"
    request = head(host, None, "GET", at, f"Cookie: {cookies}", "Connection: close")
    answer = answer_to(host, request)
    assert statuses(answer) == [403]
    assert b"two different sign-ins" in answer


# Forms of other sites

CROSS_SITE = (
    "Origin: https://evil.example",
    "Referer: https://evil.example/",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Dest: document",
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Length: 3",
    "Connection: close",
)
FORMS = (
    *("user/alice/", "user/alice/x", "user/alice/whoami", "user/alice/api/contents"),
    *("user/alice/apps/", "user/alice/apps/demo/", "user/alice/apps/-/demo/restart"),
    *("user/alice/apps/-/demo/stop", "user/alice/apps/-/demo/log", "user/alice/apps/-/log"),
    *("hub/login", "hub/login?next=/", "hub/spawn/alice", "hub/spawn/alice/second"),
    *("hub/api/users/alice/server", "hub/api/users/alice/tokens", "hub/api/oauth2/authorize"),
    *("hub/accept-share?code=x", "hub/api/shares/alice/", "hub/api/share-codes/alice/"),
)


def test_a_form_of_another_site_is_refused_everywhere(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """With all cookies, as a browser would send them that knows no SameSite."""
    alice = browser()
    alice.sign_in(accounts.alice)
    for path in FORMS:
        target = alice.base + path
        cookies, token = alice.credentials(urlsplit(target).path)
        for xsrf in ("", "X-XSRFToken: x", f"X-XSRFToken: {token[::-1]}"):
            lines = [*CROSS_SITE, f"Cookie: {cookies}", *([xsrf] if xsrf else [])]
            answer = answer_to(host, head(host, None, "POST", target, *lines) + b"a=b")
            # the hub's API takes no forms at all, and may say that first
            refusals = [[400], [403]] if "hub/api/" in path else [[403]]
            assert statuses(answer) in refusals, path


def test_the_addresses_that_need_no_session_do_nothing_for_a_form(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    for path in ("api", "logout", "oauth_callback?code=x&state=y"):
        target = f"{alice.base}user/alice/{path}"
        cookies, _ = alice.credentials(target)
        lines = [*CROSS_SITE, f"Cookie: {cookies}"]
        answer = answer_to(host, head(host, None, "POST", target, *lines) + b"a=b")
        assert statuses(answer)[0] in {400, 403, 404, 405}
    assert alice.fetch("GET", "user/alice/whoami").status_code == 200


def test_a_script_of_another_site_is_refused(
    host: Host, accounts: Accounts, puppet: Puppet, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    target = f"{alice.base}user/alice/x"
    puppet.forget()
    cookies, _ = alice.credentials(target)
    for mode in ("cors", "no-cors"):
        for method in ("GET", "POST", "DELETE"):
            lines = [*CROSS_SITE[:3], f"Sec-Fetch-Mode: {mode}", f"Cookie: {cookies}"]
            lines += ["Connection: close", "Content-Length: 0"]
            assert statuses(answer_to(host, head(host, None, method, target, *lines))) == [403]
    assert puppet.received() == []


# Redirects


def test_signing_in_at_a_server_leads_back_to_it_and_nowhere_else(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)  # the server runs
    for path in ("/evil.example/", "%09//evil.example", "\\evil.example", "x?next=//evil.example"):
        alice = browser()
        target = f"{alice.base}user/alice/{path}"
        answer = answer_to(host, head(host, None, "GET", target, "Connection: close"))
        location = answer.partition(b"\r\nlocation: ")[2].partition(b"\r\n")[0].decode()
        if statuses(answer) == [302]:
            assert location.startswith(f"{alice.base}hub/api/oauth2/authorize?"), location
        else:
            assert statuses(answer) == [400], path


def test_a_redirect_of_an_application_stays_below_its_place(
    host: Host, accounts: Accounts, puppet: Puppet, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    at = f"{alice.base}user/alice/"

    def location(line: str) -> str:
        request = head(host, alice, "GET", at + told("x", line, status=302), "Connection: close")
        answer = answer_to(host, request).decode().lower()
        assert answer.startswith("http/1.1 302 ")
        assert "set-cookie" not in answer
        return answer.partition("\r\nlocation: ")[2].partition("\r\n")[0]

    assert location("Location: /login?x=1") == f"{at}login?x=1"
    assert location(f"Location: {at}x") == f"{at}x"
    assert location(f"Location: {host.url}x/../y") == f"{at}x/../y"
    assert location(f"Location: {alice.base}user/bob/") == f"{at[:-1]}{alice.base}user/bob/"
    # to another site is the application's own say
    assert location("Location: https://www.example/") == "https://www.example/"


# Logs and tokens


def test_strangers_write_nothing_into_a_persons_log_and_little_into_the_hubs(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice: Browserless = browser()
    alice.sign_in(accounts.alice)
    log = f"{accounts.alice.home}/.local/state/unixspawner/server.log"
    before = host.run("stat", "-c", "%s", log).out
    hub_log = "/var/log/unixspawner/hub.log"
    measured = host.run("test", "-e", hub_log, check=False).status == 0
    size = int(host.run("stat", "-c", "%s", hub_log).out) if measured else 0
    for path in ("user/alice/", "hub/", "user/nobody/"):
        for _ in range(10):
            lines = (f"X-Long: {'y' * 8000}", f"User-Agent: {'z' * 8000}", "Connection: close")
            target = alice.base + path + "x" * 12_000
            assert len(statuses(answer_to(host, head(host, None, "GET", target, *lines)))) == 1
    assert host.run("stat", "-c", "%s", log).out == before
    if measured:
        grown = int(host.run("stat", "-c", "%s", hub_log).out) - size
        assert grown < 30 * 1500


def test_a_servers_token_may_do_this_and_no_more(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    token = server_of(host, "alice").environment["JUPYTERHUB_API_TOKEN"]
    with Browserless(host.url) as program:
        headers = {"Authorization": f"token {token}"}
        about = program.fetch("GET", "hub/api/user", headers).json()
        assert sorted(about["scopes"]) == [
            "access:servers!server=alice/",
            "read:users:activity!user=alice",
            "read:users:groups!user=alice",
            "read:users:name!user=alice",
            "users:activity!user=alice",
        ]
        for path in (
            "users",
            "users/bob",
            "users/alice/tokens",
            "proxy",
            "info",
            "groups",
            "services",
        ):
            assert program.fetch("GET", f"hub/api/{path}", headers).status_code in {403, 404}, path
