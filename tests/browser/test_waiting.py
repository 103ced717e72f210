"""What a person sees while an application starts, in a real Chromium without any script of ours."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.browser.looks import SIZES
from tests.browser.test_browser import (
    DESKTOP,
    expect_demo_page,
    open_sign_in,
    sign_in,
)
from tests.browser.webdriver import Browser, open_browser
from tests.system.accounts import Accounts
from tests.system.applications import Shelf, shelf
from tests.system.host import Host, wait_for
from tests.system.service import CLONE


@pytest.fixture
def eager(driver: httpx.Client) -> Iterator[Browser]:
    """A browser that can be looked at while a page is still coming."""
    with open_browser(driver, CLONE / "artefacts", waits_for_pages=False) as browser:
        yield browser


@pytest.fixture
def apps(host: Host) -> Iterator[Shelf]:
    with shelf(host) as each:
        host.run("mkfifo", "-m", "0644", f"{each.folder}/gate")
        yield each


def held(apps: Shelf) -> str:
    """An application that waits for the gate, and then shows a page or fails."""
    script = (
        f'echo \\"<b>reading</b>\\"; read x < {apps.folder}/gate; '
        '[ \\"$x\\" != fail ] || exit 3; exec python3 -I '
        f'{apps.folder}/program.py \\"$0\\"'
    )
    return f'title = "Lab"\ncommand = ["/bin/sh", "-c", "{script}", "{{socket}}"]\n'


def release(host: Host, apps: Shelf, word: str) -> None:
    host.run("timeout", "20", "sh", "-c", 'echo "$1" > "$2"', "sh", word, f"{apps.folder}/gate")


def open_lab(browser: Browser, host: Host, accounts: Accounts) -> None:
    """As somebody who follows a link; the file in apps.d is new."""
    open_sign_in(browser, host)
    sign_in(browser, accounts.alice)
    expect_demo_page(browser, accounts.alice)

    def starts() -> bool:
        browser.go(f"{host.url}user/alice/apps/lab/?x=1")
        wait_for("an answer", lambda: "apps/lab/" in browser.url and browser.text("h1"))
        return browser.text("h1") == "Lab is starting"

    wait_for("the page that waits", starts)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_a_start_is_shown_as_it_happens_and_ends_in_the_application(
    host: Host, accounts: Accounts, eager: Browser, apps: Shelf, size: tuple[int, int]
) -> None:
    eager.resize(*size)
    with apps.file("lab", held(apps)):
        open_lab(eager, host, accounts)
        eager.wait_for_text("Lab runs, waiting until it answers", "[role=log]")
        eager.wait_for_text("<b>reading</b>", "[role=log]")
        assert eager.run("return document.readyState") == "loading"
        assert eager.run("return document.documentElement.scrollWidth") <= size[0]
        eager.picture(f"waiting-{size[0]}")
        release(host, apps, "go")
        eager.wait_for_text('"target": "/?x=1"')
        assert eager.url == f"{host.url}user/alice/apps/lab/?x=1"
        assert eager.complaints() == []


def test_a_start_that_fails_offers_another_one(
    host: Host, accounts: Accounts, eager: Browser, apps: Shelf
) -> None:
    eager.resize(*DESKTOP)
    with apps.file("lab", held(apps)):
        open_lab(eager, host, accounts)
        release(host, apps, "fail")
        eager.wait_for_text("Lab ended with exit status 3 before it answered.", "[role=alert]")
        eager.picture("waiting-failed")
        eager.click("form button")
        wait_for("the next start", lambda: eager.text("h1") == "Lab is starting")
        assert not eager.is_visible("[role=alert]")
        release(host, apps, "go")
        eager.wait_for_text('"target": "/"')
