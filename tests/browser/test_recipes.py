"""The other recipes in a real Chromium: each does its work as alice, and asks nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from tests.browser.test_browser import expect_demo_page, open_sign_in, sign_in
from tests.browser.webdriver import Browser
from tests.system.accounts import Account, Accounts, processes
from tests.system.host import DEADLINE, Host, wait_for
from tests.system.recipes import installed_recipes, network_listeners

ATTEMPTS = 6  # an editor that still arranges itself takes the focus away from its terminal
CONTROL, ENTER = "\ue009", "\ue007"
# What code-server's page complains about wherever it runs, see recipes/editor/README.md; and what
# the editor logs of itself, marked so. What cannot be loaded or is forbidden the browser says.
EDITORS_OWN = (
    *("/vsda", "ServiceWorker", "network - The path of the provided scope"),
    '"%c  ERR" "color: #f33"',
)


@pytest.fixture(scope="module")
def recipes(host: Host) -> Iterator[None]:
    with installed_recipes(host, "editor", "streamlit", "terminal"):
        yield


def open_application(chromium: Browser, host: Host, person: Account, name: str) -> None:
    chromium.resize(1200, 800)
    open_sign_in(chromium, host)
    chromium.asked_for()  # what the browser does by itself when it starts
    sign_in(chromium, person)
    expect_demo_page(chromium, person)
    chromium.go(f"{host.url}user/{person.name}/apps/{name}/")


def expect_only_ours(chromium: Browser, host: Host, *expected: str) -> None:
    assert network_listeners(host, "alice") == []
    assert [url for url in chromium.asked_for() if not url.startswith(host.url)] == []
    complaints = chromium.complaints()
    assert [each for each in complaints if not any(part in each for part in expected)] == []


def wait_for_file(host: Host, path: str, content: str, deadline: float = DEADLINE) -> None:
    wait_for(path, lambda: host.run("cat", path, check=False).out == content, deadline)


def test_the_terminal_takes_what_is_typed(
    host: Host, accounts: Accounts, recipes: None, chromium: Browser
) -> None:
    alice = accounts.alice
    open_application(chromium, host, alice, "terminal")
    chromium.wait_until_visible(".xterm-screen")
    wait_for("the prompt's title", lambda: chromium.title.startswith("alice@"))
    chromium.write(f"id -u > {alice.home}/typed")
    chromium.chord(ENTER)
    wait_for_file(host, f"{alice.home}/typed", f"{alice.uid}\n")
    chromium.picture("recipe-terminal")
    expect_only_ours(chromium, host)
    chromium.write("exit")
    chromium.chord(ENTER)
    chromium.wait_for_text("The shell has ended. Press Enter for a new one.", "#notice")
    chromium.chord(ENTER)
    wait_for("a new shell", lambda: not chromium.is_visible("#notice"))


def test_streamlit_answers_the_slider(
    host: Host, accounts: Accounts, recipes: None, chromium: Browser
) -> None:
    open_application(chromium, host, accounts.alice, "streamlit")
    chromium.wait_for_text("Hello, alice", "h1")
    chromium.wait_for_text(f"runs as alice (uid {accounts.alice.uid})")
    chromium.wait_for_text("25", "[data-testid='stSliderThumbValue']")
    chromium.wait_until_visible("[data-testid='stVegaLiteChart'] canvas, .stVegaLiteChart svg")
    chromium.picture("recipe-streamlit")
    expect_only_ours(chromium, host)


def test_the_editor_opens_a_terminal(
    host: Host, accounts: Accounts, recipes: None, chromium: Browser
) -> None:
    alice = accounts.alice
    open_application(chromium, host, alice, "editor")
    chromium.wait_until_visible(".monaco-workbench .editor-group-container")
    chromium.click(".monaco-workbench .editor-group-container")
    chromium.chord(CONTROL, "`")
    chromium.wait_until_visible(".terminal-wrapper .xterm-screen")
    wait_for("the shell", lambda: any("bash" in each for each in processes(host, "alice")))
    for _ in range(ATTEMPTS):
        chromium.click(".terminal-wrapper .xterm-screen")
        chromium.write(f"id -u > {alice.home}/edited")
        chromium.chord(ENTER)
        with suppress(AssertionError):
            wait_for_file(host, f"{alice.home}/edited", f"{alice.uid}\n", deadline=5)
            break
    wait_for_file(host, f"{alice.home}/edited", f"{alice.uid}\n", deadline=0)
    chromium.picture("recipe-editor")
    expect_only_ours(chromium, host, *EDITORS_OWN)
