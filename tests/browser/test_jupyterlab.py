"""JupyterLab by its recipe, in a real Chromium: from the sign-in page to Log Out in its menu."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.browser.test_browser import open_sign_in, sign_in
from tests.browser.webdriver import Browser
from tests.system.accounts import Accounts
from tests.system.host import Host, wait_for
from tests.system.recipes import installed_recipes, network_listeners, without_demo

SHIFT, CONTROL, ENTER = "\ue008", "\ue009", "\ue007"
NOTEBOOK_CARD = ".jp-LauncherCard[data-category='Notebook']"
TERMINAL_CARD = ".jp-LauncherCard[data-category='Other'][title='Start a new terminal session']"
LAUNCHER = "#jp-main-dock-panel .lm-TabBar-addButton"
FILE_MENU = ".lm-MenuBar-item[data-command='filemenu'], .lm-MenuBar-content > .lm-MenuBar-item"


@pytest.fixture(scope="module")
def jupyterlab(host: Host) -> Iterator[None]:
    with without_demo(host), installed_recipes(host, "jupyterlab"):
        yield


def open_menu(chromium: Browser) -> None:
    """The File menu is the first one."""
    chromium.click(FILE_MENU)
    chromium.wait_until_visible(".lm-Menu-item[data-command='hub:logout']")


def test_a_notebook_a_terminal_and_the_way_out(
    host: Host, accounts: Accounts, jupyterlab: None, chromium: Browser
) -> None:
    alice = accounts.alice
    chromium.resize(1200, 800)
    open_sign_in(chromium, host)
    chromium.asked_for()  # what the browser does by itself when it starts
    sign_in(chromium, alice)
    chromium.wait_until_visible(NOTEBOOK_CARD)
    assert chromium.url == f"{host.url}user/alice/lab"
    chromium.picture("jupyterlab-1-launcher")

    # A cell runs as alice, and what it printed is saved as her file.
    chromium.click(NOTEBOOK_CARD)
    chromium.wait_until_visible(".jp-Notebook-ExecutionIndicator[data-status='idle']")
    chromium.click(".jp-Notebook .cm-content")
    chromium.write("import os; print('uid', os.getuid())")
    chromium.chord(SHIFT, ENTER)
    chromium.wait_for_text(f"uid {alice.uid}", ".jp-OutputArea-output")
    chromium.chord(CONTROL, "s")
    chromium.wait_until_visible(".jp-Dialog .jp-mod-accept")  # it asks for a name, once
    chromium.click(".jp-Dialog .jp-mod-accept")
    saved = f"{alice.home}/Untitled.ipynb"
    wait_for("the saved output", lambda: f"uid {alice.uid}" in read(host, saved))
    assert host.run("stat", "-c", "%U %a", saved).out == "alice 644\n"
    chromium.picture("jupyterlab-2-notebook")

    # A terminal runs her shell.
    chromium.click(LAUNCHER)
    chromium.wait_until_visible(TERMINAL_CARD)
    chromium.click(TERMINAL_CARD)
    chromium.wait_until_visible(".jp-Terminal .xterm-screen")
    proof = f"{alice.home}/proof"
    chromium.click(".jp-Terminal .xterm-screen")
    chromium.write(f"id -u > {proof}")
    chromium.chord(ENTER)
    wait_for("the shell's answer", lambda: read(host, proof) == f"{alice.uid}\n")
    chromium.picture("jupyterlab-3-terminal")
    assert network_listeners(host, "alice") == []

    # The hub is where people expect it.
    open_menu(chromium)
    chromium.picture("jupyterlab-4-file-menu")
    before = chromium.windows()
    chromium.click(".lm-Menu-item[data-command='hub:control-panel']")
    (control_panel,) = wait_for("a window", lambda: set(chromium.windows()) - set(before) or None)
    chromium.switch_to(control_panel)
    chromium.wait_until_visible("#stop")
    assert chromium.url == f"{host.url}hub/home"
    chromium.switch_to(before[0])

    assert [url for url in chromium.asked_for() if not url.startswith(host.url)] == []
    assert chromium.complaints() == []
    open_menu(chromium)
    chromium.click(".lm-Menu-item[data-command='hub:logout']")
    wait_for("the end of the session", lambda: "/user/alice" not in chromium.url)
    chromium.go(f"{host.url}user/alice/lab")
    chromium.wait_until_visible("#username_input")


def read(host: Host, path: str) -> str:
    return host.run("cat", path, check=False).out
