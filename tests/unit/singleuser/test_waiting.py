"""The page that grows while an application starts, read as a browser gets it, piece by piece."""

from __future__ import annotations

import asyncio
import os
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import PREFIX, Browser
from tests.unit.singleuser.test_applications import APPS, WORDS, facts, on_demand, press

from unixspawner_singleuser import waiting
from unixspawner_singleuser.catalogue import Catalogue

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture
def gate(directory: Path) -> Path:
    """What the application waits for before it listens."""
    os.mkfifo(directory / "gate")
    return directory / "gate"


@pytest.fixture
def applications(directory: Path) -> Catalogue:
    held = on_demand("held", *WORDS, str(directory / "gate"))
    failing = ("/bin/sh", "-c", 'echo "<b>last</b>"; read x < "$0"; exit 3', f"{directory}/gate")
    return Catalogue((held, on_demand("failing", *failing, "{socket}"), on_demand("quick")))


class Page:
    """A page that is still coming."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.text = ""

    async def until(self, wanted: str) -> None:
        while wanted not in self.text:
            piece = await self.response.content.readany()
            assert piece, f"{wanted!r} never came: {self.text}"
            self.text += piece.decode()

    async def rest(self) -> str:
        self.text += (await self.response.read()).decode()
        return self.text


async def open_page(browser: Browser, path: str) -> Page:
    page = Page(await browser.get(path, Accept=HTML))
    assert page.response.status == 200
    return page


def release(gate: Path) -> None:
    with gate.open("w"):
        pass


class Checker(HTMLParser):
    """Fails on a document whose elements do not match, and remembers what it has."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    return checker


async def test_it_grows_while_the_application_starts_and_then_goes_there(
    alice: Browser, gate: Path
) -> None:
    path = f"{APPS}held/lab?x=1&y=%22"
    page = await open_page(alice, path)
    assert page.response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.response.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.response.headers["Content-Security-Policy"]
    await page.until("<strong>Held runs, waiting until it answers</strong>\n")
    await page.until("It writes &lt;b&gt;into&lt;/b&gt; its log.\n")
    assert "refresh" not in page.text
    assert "Held is ready" not in page.text
    release(gate)
    text = await page.rest()
    assert "<script" not in text
    found = checked(text).seen
    refresh = [has for tag, has in found if tag == "meta" and has.get("http-equiv") == "refresh"]
    assert [has["content"] for has in refresh] == [f"0; url={path}"]
    (log,) = [has for tag, has in found if has.get("role") == "log"]
    assert log["aria-label"] == "Held is starting"
    assert log["tabindex"] == "0"
    assert (await facts(alice, path))["target"] == "/lab?x=1&y=%22"


async def test_when_it_fails_the_page_says_why_and_offers_a_restart(
    alice: Browser, gate: Path
) -> None:
    page = await open_page(alice, f"{APPS}failing/")
    await page.until("&lt;b&gt;last&lt;/b&gt;\n")
    release(gate)
    text = await page.rest()
    found = checked(text).seen
    assert "Failing ended with exit status 3 before it answered." in text
    assert [has for tag, has in found if has.get("http-equiv")] == []
    (form,) = [has for tag, has in found if tag == "form"]
    token = alice.cookies["_xsrf"]
    assert form == {"method": "post", "action": f"{APPS}-/failing/restart?_xsrf={token}"}
    assert len([has for tag, has in found if has.get("role") == "alert"]) == 1


async def test_what_is_quick_or_runs_already_shows_no_such_page(alice: Browser) -> None:
    await facts(alice, f"{APPS}quick/")
    response = await alice.get(f"{APPS}quick/", Accept=HTML)
    assert (await response.json())["target"] == "/"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),  # curl, which takes anything
        ("GET", {"Accept": HTML, "Sec_Fetch_Mode": "cors"}),
        ("GET", {"Accept": "application/json"}),
        ("HEAD", {"Accept": HTML}),
        ("POST", {"Accept": HTML}),
    ],
)
async def test_everything_but_a_browser_that_opens_a_page_just_waits(
    alice: Browser, gate: Path, method: str, headers: dict[str, str]
) -> None:
    token = {"X_XSRFToken": alice.cookies["_xsrf"]}
    waits = asyncio.create_task(alice.request(method, f"{APPS}held/", **token, **headers))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waits), waiting.PATIENCE + 0.3)
    release(gate)
    response = await waits
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"


async def test_all_tabs_see_the_same_start(alice: Browser, gate: Path) -> None:
    pages = [await open_page(alice, f"{APPS}held/{number}") for number in range(3)]
    for page in pages:
        await page.until("waiting until it answers")
    release(gate)
    for number, page in enumerate(pages):
        assert f"0; url={APPS}held/{number}" in await page.rest()
    assert (await facts(alice, f"{APPS}held/"))["pid"]


async def test_a_restart_while_it_starts_ends_the_page_that_waits(
    alice: Browser, gate: Path
) -> None:
    page = await open_page(alice, f"{APPS}held/")
    await page.until("waiting until it answers")
    await press(alice, "held", "stop")
    assert "Held was stopped while it started." in await page.rest()


async def test_somebody_who_leaves_does_not_end_the_start(alice: Browser, gate: Path) -> None:
    page = await open_page(alice, f"{APPS}held/")
    await page.until("waiting until it answers")
    page.response.close()
    release(gate)
    assert (await facts(alice, f"{APPS}held/"))["target"] == "/"


async def test_a_stop_of_the_server_does_not_wait_for_the_page(
    alice: Browser, gate: Path, running: Running
) -> None:
    page = await open_page(alice, f"{APPS}held/")
    await page.until("waiting until it answers")
    await running.stop()
    assert "refresh" not in await page.rest()


async def test_signing_out_ends_the_page(alice: Browser, gate: Path) -> None:
    page = await open_page(alice, f"{APPS}held/")
    await page.until("waiting until it answers")
    await alice.get(f"{PREFIX}logout")
    assert "refresh" not in await page.rest()


async def test_a_log_without_end_does_not_become_a_page_without_end(
    alice: Browser, gate: Path, home: Path
) -> None:
    page = await open_page(alice, f"{APPS}held/")
    await page.until("waiting until it answers")
    log = home / ".local/state/unixspawner/application.held.log"
    with log.open("a") as file:
        file.write("<&>\n" * waiting.MAX_SHOWN)
    await page.until("The rest is in the log.")
    release(gate)
    assert len(await page.rest()) < 5 * waiting.MAX_SHOWN


async def test_the_words_of_a_silent_start_go_on(
    alice: Browser, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SIGN_OF_LIFE", 0.5)
    page = await open_page(alice, f"{APPS}held/")
    await page.until("<strong>Still waiting, 1 seconds so far</strong>")
    release(gate)
    await page.rest()
