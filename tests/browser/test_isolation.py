"""What a hostile application wants to do to the rest of the site, in a real Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from tests.browser.test_browser import open_sign_in, sign_in
from tests.browser.webdriver import Browser
from tests.system.accounts import Accounts
from tests.system.host import Host
from tests.system.puppet import Puppet, told
from tests.system.service import options

_WORKER = "self.addEventListener('fetch', e => e.respondWith(new Response('taken over')));"
_REGISTER = """
return navigator.serviceWorker.register(arguments[0], arguments[1] ? {scope: arguments[1]} : {})
    .then(async (made) => { await navigator.serviceWorker.ready; return made.scope; },
          (error) => error.name);
"""


@pytest.fixture
def at(host: Host, accounts: Accounts, puppet: Puppet, chromium: Browser) -> str:
    """The address of alice's server, where she is, before a hostile application."""
    open_sign_in(chromium, host)
    sign_in(chromium, accounts.alice)
    chromium.wait_for_text("puppet")
    assert chromium.url.endswith("/user/alice/")
    return chromium.url


def script(chromium: Browser, at: str, *headers: str) -> str:
    """With the token that a page's scripts can read: without it the browser gets no worker."""
    found = chromium.run("return document.cookie.match(/(?:^|; )_xsrf=([^;]+)/)[1]")
    return f"{at}{told('sw.js', *headers, kind='text/javascript', body=_WORKER)}&_xsrf={found}"


def register(chromium: Browser, address: str, scope: str) -> Any:
    return chromium.run(_REGISTER, address, scope)


def test_a_service_worker_gets_the_place_of_its_application_and_no_more(
    host: Host, chromium: Browser, at: str
) -> None:
    """With a worker for the whole site an application could answer for the sign-in page."""
    base = options(host).base_url
    worker = script(chromium, at, "Service-Worker-Allowed: /", "service-worker-allowed: /")
    for scope in ("/", base, f"{base}hub/", f"{base}user/", f"{base}user/bob/", f"{base}services/"):
        assert register(chromium, worker, scope) == "SecurityError", scope
    assert register(chromium, worker, "") == at  # its own it may have
    chromium.go(f"{at}x")
    assert chromium.text() == "taken over"
    chromium.go(f"{host.url}hub/home")
    assert "taken over" not in chromium.text()
    assert chromium.run("return navigator.serviceWorker.controller") is None


def is_signed_in(chromium: Browser, host: Host, at: str) -> bool:
    """At her server and at the hub."""
    chromium.go(at)
    there = chromium.url == at and chromium.text() == "puppet"
    chromium.go(f"{host.url}hub/home")
    home = chromium.url.endswith("/hub/home")
    chromium.go(at)
    return there and home


@pytest.mark.parametrize("value", ['"*"', '"cookies", "storage"', '"cookies"'])
def test_an_application_does_not_clear_the_cookies_of_the_site(
    host: Host, chromium: Browser, at: str, value: str
) -> None:
    clearing = at + told("x", f"Clear-Site-Data: {value}", f"clear-site-data: {value}")
    chromium.go(clearing)
    assert chromium.text() == "puppet"
    assert is_signed_in(chromium, host, at)


def test_an_application_does_not_replace_or_shadow_our_cookies(
    host: Host, chromium: Browser, at: str
) -> None:
    place = at.removeprefix(host.url.rstrip("/"))
    names = ("jupyterhub-user-alice", "jupyterhub-session-id", "jupyterhub-hub-login", "_xsrf")
    lines = [
        f"Set-Cookie: {name}={value}; Path={path}; Max-Age={age}"
        for name in names
        for path, value, age in (("/", "x", 99), (place, "", 0), (f"{place}x", "x", 99))
    ]
    chromium.go(at + told("x", *lines))
    assert chromium.text() == "puppet"
    assert is_signed_in(chromium, host, at)
    # what a page's script sets never passes us: HttpOnly ones stay, and shadows are not signed
    for name in names[:3]:
        for path in (place, f"{place}x", "/"):
            chromium.run("document.cookie = arguments[0]", f"{name}=x; path={path}")
    chromium.go(f"{at}x/y")
    assert chromium.text() == "puppet"
    chromium.go(at)
    assert chromium.text() == "puppet"
