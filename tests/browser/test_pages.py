"""Every page that people meet, in a real Chromium: on a phone and a desk, light and dark.

What is expected of each of them is in `looks.expect_fit`. Their pictures are in artefacts/.
"""

from __future__ import annotations

import httpx
from tests.browser.applications import many_applications
from tests.browser.looks import SIZES, expect_fit
from tests.browser.webdriver import Browser, open_browser
from tests.system import parts
from tests.system.accounts import Account, Accounts, changed
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.limits import limits_file
from tests.system.servers import FAMILY, server_program
from tests.system.service import CLONE
from tests.system.sessions import held_sessions

# JupyterHub's administration is an application of its own, which the style cannot make right.
OF_THE_ADMIN_PAGE = ("nested-interactive", "button-name")
# Questions before a start, and an address for the page that is seen where nobody signs in by hand.
_SETTINGS = """
from jupyterhub.handlers import BaseHandler

class SignedOut(BaseHandler):
    async def get(self):
        self.finish(await self.render_template("logout.html"))

c.JupyterHub.extra_handlers = [("/test-signed-out", SignedOut)]
c.UnixSpawner.options_form = (
    '<label for="beam">Beam line</label><input id="beam" name="beam" class="form-control">'
)
"""
# A page that looks again after a while would be another one before everything has been looked at.
_HOLD_STILL = """
for (let n = setTimeout(() => {}); n > 0; n--) clearTimeout(n);
const later = window.setTimeout;
window.setTimeout = (work, ms, ...more) => ms >= 5000 ? 0 : later(work, ms, ...more);
"""


def open_signed_in(chromium: Browser, host: Host, person: Account, below: str) -> None:
    """Sign in and go on to an address; the window is that of a desk."""
    chromium.resize(*SIZES["desktop"])
    chromium.go(f"{host.url}hub/login?next=/{below}")
    chromium.wait_until_visible("#username_input")
    chromium.type_into("#username_input", person.name)
    chromium.type_into("#password_input", person.password)
    chromium.click("#login_submit")


def wait_for_address(chromium: Browser, part: str) -> None:
    """Not yet where the sign-in page is told to go on to."""
    wait_for(f"{part} in the address", lambda: part in chromium.url.partition("?")[0])


def open_servers(chromium: Browser, host: Host) -> None:
    """The page that is called Home, with its scripts at work."""
    chromium.go(f"{host.url}hub/home")
    working = "return window._jupyterhub_page_loaded === true"
    wait_for("the scripts of the page", lambda: chromium.run(working))


def test_before_anybody_has_signed_in(host: Host, accounts: Accounts, chromium: Browser) -> None:
    chromium.go(f"{host.url}hub/login")
    expect_fit(chromium, "sign-in")
    chromium.go(f"{host.url}hub/nothing")
    expect_fit(chromium, "not-found")
    open_signed_in(chromium, host, Account("alice", 0, "", "not it"), "hub/home")
    chromium.wait_for_text("Wrong user name or password.", "[role=alert]")
    expect_fit(chromium, "wrong-password")


def test_the_hubs_pages_of_a_person(host: Host, accounts: Accounts, chromium: Browser) -> None:
    open_signed_in(chromium, host, accounts.alice, "hub/home")
    chromium.wait_until_visible("#start")
    open_servers(chromium, host)
    assert chromium.text(".when-stopped") == "not running"
    chromium.type_into("#new-server-name", "Long run")
    chromium.click(".new-server-btn")
    chromium.wait_until_visible(".start-server")
    expect_fit(chromium, "servers")
    chromium.go(f"{host.url}hub/token")
    chromium.type_into("#token-note", "backup")
    chromium.click("#request-token-form [type=submit]")
    chromium.wait_until_visible("#token-area")
    chromium.go(f"{host.url}hub/token")
    expect_fit(chromium, "token")
    chromium.go(f"{host.url}hub/admin")
    assert chromium.text("h1") == "Not allowed"
    expect_fit(chromium, "forbidden")
    chromium.go(f"{host.url}user/alice/")
    assert chromium.text("h1") == "Your server is not running"
    expect_fit(chromium, "not-running")
    chromium.go(f"{host.url}hub/error/503")
    expect_fit(chromium, "server-down")


def test_a_server_on_the_page_of_servers(host: Host, accounts: Accounts, chromium: Browser) -> None:
    """Its state is said in words, before and after it was stopped by a key."""
    open_signed_in(chromium, host, accounts.alice, "user/alice/")
    chromium.click("#start")
    wait_for_address(chromium, f"{host.url}user/alice/")
    open_servers(chromium, host)
    assert chromium.is_visible(".when-running")
    chromium.run("document.querySelector('#stop').focus()")
    chromium.press("\ue007")
    chromium.wait_until_visible(".when-stopped")
    assert not chromium.is_visible(".when-running")
    assert chromium.text("#start") == "Start My Server"


def test_a_start_and_its_end_by_the_person(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    chromium.resize(*SIZES["desktop"])
    with held_sessions(host) as release:
        open_signed_in(chromium, host, accounts.alice, "hub/spawn")
        chromium.wait_for_text("Opening a session for alice", "#progress-message[role=status]")
        assert chromium.run("return document.querySelector('#progress-bar').ariaValueNow") == "10"
        expect_fit(chromium, "starting")
        chromium.click("#stop-server-btn")
        chromium.wait_for_text("Your server is not running", "h1")
        release()


def test_a_start_that_fails_says_why_also_on_the_page_that_waited(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    bob, shell = accounts.bob, ("usermod", "-s")
    with held_sessions(host) as release:
        open_signed_in(chromium, host, bob, "hub/spawn")
        chromium.wait_for_text("Opening a session for bob", "#progress-message")
        with changed(host, (*shell, "/usr/sbin/nologin", "bob"), (*shell, "/bin/bash", "bob")):
            release()
            sentence = "The account bob may not log in on this machine"
            chromium.wait_for_text(sentence, "[role=alert]")
            assert chromium.text("h1") == "Your server did not start"
            expect_fit(chromium, "start-failed")


def test_the_pages_of_an_administrator(host: Host, accounts: Accounts, chromium: Browser) -> None:
    open_signed_in(chromium, host, accounts.alice, "hub/spawn")
    wait_for_address(chromium, "/user/alice/")
    chromium.go(f"{host.url}hub/logout")
    open_signed_in(chromium, host, accounts.carol, "hub/admin")
    chromium.wait_until_visible(".user-row")
    expect_fit(chromium, "admin", excused=OF_THE_ADMIN_PAGE)
    chromium.go(f"{host.url}user/alice/apps/")
    assert chromium.text("h1") == "Open the server of alice?"
    expect_fit(chromium, "confirmation")
    chromium.click("main [type=submit]")
    chromium.wait_for_text("Visiting as carol", "#visiting")
    expect_fit(chromium, "visiting")


def test_pages_that_only_some_services_have(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    with parts.configured(host, _SETTINGS):
        chromium.go(f"{host.url}hub/test-signed-out")
        chromium.wait_for_text("You are signed out", "h1")
        expect_fit(chromium, "signed-out")
        open_signed_in(chromium, host, accounts.alice, "hub/spawn")
        chromium.wait_for_text("How shall your server start?", "h1")
        expect_fit(chromium, "questions")
        chromium.type_into("#beam", "7")
        chromium.click("#spawn_form [type=submit]")
        wait_for_address(chromium, "/user/alice/")


_PROFILES = """
[profile.small]
title = "Small"
description = "Notebooks and figures"
memory = "4G"
cpu = 1
[profile.large]
title = "Large"
description = "Fits and simulations; please stop it when you are done"
memory = "32G"
cpu = 8
[profile.all]
title = "Full"
"""


def test_a_size_is_chosen_before_a_start(host: Host, accounts: Accounts, chromium: Browser) -> None:
    with limits_file(host, accounts, _PROFILES):
        open_signed_in(chromium, host, accounts.alice, "hub/spawn")
        chromium.wait_for_text("How shall your server start?", "h1")
        expect_fit(chromium, "sizes")
        chromium.click(".profiles [value=large]")
        chromium.click("#spawn_form [type=submit]")
        wait_for_address(chromium, "/user/alice/")


def test_a_server_that_is_ending(
    host: Host, accounts: Accounts, administrator: Browserless, chromium: Browser
) -> None:
    """Slowly, because something in it does not end when it is asked to."""
    with server_program(host, FAMILY):
        open_signed_in(chromium, host, accounts.alice, "hub/spawn")
        wait_for_address(chromium, "/user/alice/")
    open_servers(chromium, host)
    chromium.click("#stop")
    wait_for(
        "the stop to begin",
        lambda: administrator.servers("alice").get("", {}).get("pending") == "stop",
    )
    chromium.go(f"{host.url}hub/spawn-pending/alice")
    chromium.run(_HOLD_STILL)
    assert chromium.text("h1") == "Your server is stopping"
    expect_fit(chromium, "stopping")


def test_an_invitation_to_a_server(
    host: Host,
    accounts: Accounts,
    administrator: Browserless,
    browser: OpenBrowser,
    chromium: Browser,
) -> None:
    browser().sign_in(accounts.alice)
    administrator.go("hub/home")
    codes = "hub/api/share-codes/alice/"
    answer = administrator.fetch("POST", codes, body={})
    assert answer.status_code == 200, answer.text
    try:
        open_signed_in(chromium, host, accounts.bob, "hub/home")
        wait_for_address(chromium, "/hub/home")
        chromium.go(f"{host.url}hub/accept-share?code={answer.json()['code']}")
        assert chromium.text("h1") == "Accept sharing invitation"
        expect_fit(chromium, "invitation")
    finally:
        assert administrator.fetch("DELETE", codes).status_code == 204


def test_the_home_page_shows_every_application_and_what_it_does(
    host: Host, accounts: Accounts, chromium: Browser, driver: httpx.Client
) -> None:
    with many_applications(host):
        open_signed_in(chromium, host, accounts.alice, "hub/spawn")
        wait_for_address(chromium, "/user/alice/")
        server = f"{host.url}user/alice/"
        chromium.go(f"{server}apps/10-notes/")
        chromium.wait_for_text("It runs")
        chromium.go(f"{server}apps/40-analysis/")
        assert chromium.text("h1") == "Analysis <&> does not run"
        assert "The detector is not connected." in chromium.text(".log")
        expect_fit(chromium, "application-failed")
        chromium.go(server)
        assert states(chromium) == {
            "Notes": "running as you",
            "Detector": "not running, starts when you open it",
            "Terminal": "not running, starts when you open it",
            "Analysis <&>": "failed, its log says why",
            "Handbook": "shared by everybody",
            "Archive": "shared by everybody",
        }
        expect_fit(chromium, "home")
        expect_facts(chromium, host, accounts.alice)
        for below, name in (
            ("apps/-/10-notes/log", "application-log"),
            ("apps/-/log", "server-log"),
            ("apps/60-away/", "application-away"),
            ("apps/nothing/", "nothing-there"),
            ("oauth_callback?error=access_denied", "sign-in-ended"),
        ):
            chromium.go(f"{server}{below}")
            expect_fit(chromium, name)
        expect_a_waiting_page(host, accounts.alice, driver)
        chromium.go(server)
        assert states(chromium)["Detector"] == "starting"
        chromium.click("#application-20-detector form[action*='/stop?'] button")
        wait_for("the end of it", lambda: states(chromium)["Detector"].startswith("not running"))


def states(chromium: Browser) -> dict[str, str]:
    """Titles and states as a person reads them."""
    script = (
        "return [...document.querySelectorAll('.tile')].map((tile) =>"
        " ['h3', '.state'].map((part) => tile.querySelector(part).innerText))"
    )
    return dict(chromium.run(script))


def expect_facts(chromium: Browser, host: Host, person: Account) -> None:
    told = chromium.text("main")
    assert f"{person.uid}\n" in told
    assert person.home in told
    assert host.run("hostname").out.strip() in told
    assert "free of" in told
    assert "Open files, each process" in told


def expect_a_waiting_page(host: Host, person: Account, driver: httpx.Client) -> None:
    """A page that goes on coming: only a browser that does not wait for its end can look at it."""
    with open_browser(driver, CLONE / "artefacts", waits_for_pages=False) as chromium:
        open_signed_in(chromium, host, person, "user/alice/apps/20-detector/")
        chromium.wait_for_text("Looking for the detector", "[role=log]")
        expect_fit(chromium, "application-starting")
