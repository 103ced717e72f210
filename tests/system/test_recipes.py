"""Each recipe installed for real, and used by alice through hub, proxy and gateway.

Run as root. Nothing of it may listen on the network, or on a socket that another account can use.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.system.accounts import Account, Accounts
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.jupyter import open_websocket, read_until, type_line
from tests.system.people import Process, processes_of
from tests.system.recipes import (
    APPS,
    CATALOGUE,
    NAMES,
    installed_recipes,
    network_listeners,
    reachable_sockets,
    run_recipe,
)

PAGES = {
    "editor": ("user/alice/apps/editor/", "workbench.js"),
    "jupyterlab": ("user/alice/apps/jupyterlab/lab", "<title>JupyterLab</title>"),
    "streamlit": ("user/alice/apps/streamlit/", "<title>Streamlit</title>"),
    "terminal": ("user/alice/apps/terminal/", "<title>Terminal</title>"),
}


@pytest.fixture(scope="module")
def said(host: Host) -> Iterator[dict[str, str]]:
    """All recipes are installed; what their scripts said."""
    before = photograph(host, CATALOGUE)
    with installed_recipes(host, *NAMES) as output:
        yield output
    assert photograph(host, CATALOGUE) == before
    assert host.run("test", "-e", APPS, check=False).status == 1


@pytest.fixture
def alice(said: dict[str, str], accounts: Accounts, browser: OpenBrowser) -> Browserless:
    person = browser()
    person.sign_in(accounts.alice)
    return person


def photograph(host: Host, *folders: str) -> list[str]:
    """Path, kind, mode, owner, size, time of change and target of everything there."""
    listing = "%p %y %m %U %G %s %T@ %l\\n"
    lines = host.run("find", *folders, "-printf", listing, timeout=120).out.splitlines()
    return sorted(line for line in lines if not line.startswith(f"{CATALOGUE} "))


def programs_of(host: Host, account: Account, name: str) -> list[Process]:
    """What runs as the account for an application."""
    return [
        process
        for process in processes_of(host, account.name)
        if process.environment.get("UNIXSPAWNER_APPLICATION", "").startswith(f"{name}:")
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_answers_as_the_person_and_listens_for_nobody_else(
    host: Host, accounts: Accounts, alice: Browserless, name: str
) -> None:
    path, text = PAGES[name]
    page = alice.fetch("GET", path)
    assert page.status_code == 200, page.text
    assert text in page.text
    running = programs_of(host, accounts.alice, name)
    assert {process.uids[0] for process in running} == {accounts.alice.uid}
    assert network_listeners(host, "alice") == []
    assert reachable_sockets(host, "alice", "mallory") == []
    alice.stop("alice")
    wait_for("the end of it", lambda: processes_of(host, "alice") == [])
    assert host.run("find", "/tmp", "-maxdepth", "1", "-user", "alice").out == ""


def test_only_one_application_takes_the_place_of_the_home_page(
    host: Host, said: dict[str, str]
) -> None:
    assert "demo takes the place of the home page" not in said["terminal"]
    assert "root = false\n" in host.run("cat", f"{CATALOGUE}/jupyterlab.toml").out


def test_the_terminal_runs_the_login_shell(
    host: Host, accounts: Accounts, alice: Browserless
) -> None:
    page = alice.fetch("GET", "user/alice/apps/terminal/")
    assert page.url.query == b"shell=1"
    with open_websocket(alice, "user/alice/apps/terminal/shell/1") as shell:
        shown = type_line(shell, "shopt -q login_shell && id -u; pwd; echo $((6*7))", "42\r\n")
        assert f"{accounts.alice.uid}\r\n{accounts.alice.home}\r\n42\r\n" in shown
        other = alice.fetch("GET", "user/alice/apps/terminal/")
        assert other.url.query == b"shell=2"  # the first one has somebody who looks at it
        assert network_listeners(host, "alice") == []
    with open_websocket(alice, "user/alice/apps/terminal/shell/1") as again:
        read_until(again, "42\r\n")  # it has gone on without a page


def test_streamlit_shows_who_is_asking_or_runs_the_persons_own_script(
    host: Host, accounts: Accounts, alice: Browserless
) -> None:
    place = "user/alice/apps/streamlit/"
    assert alice.fetch("GET", place).status_code == 200
    assert_shown(alice, place, b"Hello, alice")
    assert_shown(alice, place, f"(uid {accounts.alice.uid})".encode())
    assert network_listeners(host, "alice") == []

    script = "import os\nimport streamlit as st\nst.title(f'own {os.getuid()} {__file__}')\n"
    folder = f"{accounts.alice.home}/streamlit"
    host.as_account("alice", "mkdir", folder)
    try:
        host.as_account("alice", "tee", f"{folder}/app.py", stdin=script)
        answer = alice.fetch("POST", "user/alice/apps/-/streamlit/restart")
        assert answer.status_code < 400, answer.text
        assert alice.fetch("GET", place).status_code == 200
        assert_shown(alice, place, f"own {accounts.alice.uid} {folder}/app.py".encode())
    finally:
        host.run("rm", "-r", folder)


def assert_shown(person: Browserless, place: str, text: bytes) -> None:
    """Run the script once, as the page does, until the text is among what is to be shown."""
    with open_websocket(person, f"{place}_stcore/stream", ["streamlit"]) as stream:
        stream.send(b"\x5a\x00")  # a BackMsg with an empty `rerun_script`
        while text not in (said := stream.recv(timeout=30)):
            assert b"scriptFinished" not in str(said).encode()


def test_a_second_run_changes_nothing(host: Host, said: dict[str, str]) -> None:
    before = photograph(host, CATALOGUE, APPS)
    for name in NAMES:
        assert "Written" not in run_recipe(host, name).out
    assert photograph(host, CATALOGUE, APPS) == before


def test_everything_installed_is_roots_and_can_be_read_by_people(
    host: Host, said: dict[str, str]
) -> None:
    foreign = ("find", APPS, CATALOGUE, "(", "!", "-uid", "0", "-o", "-perm", "/022", ")")
    assert host.run(*foreign, "!", "-type", "l", timeout=120).out == ""
    closed = ("find", APPS, "!", "-type", "l", "!", "-perm", "-004")
    assert host.run(*closed, timeout=120).out == ""


def test_an_edited_file_stays(host: Host, said: dict[str, str]) -> None:
    path = f"{CATALOGUE}/terminal.toml"
    ours = host.run("cat", path).out
    theirs = ours.replace('title = "Terminal"', 'title = "Shell"')
    kept = f"{APPS}/terminal/as-installed/terminal.toml"
    try:
        host.run("tee", path, stdin=theirs)
        assert "Written" not in run_recipe(host, "terminal").out
        host.run("tee", kept, stdin="# of an older recipe\n")
        assert f"You have edited {path}: it stays." in run_recipe(host, "terminal").out
        assert host.run("cat", path).out == theirs
        assert host.run("cat", f"{path}.new").out == ours
    finally:
        host.run("tee", path, stdin=ours)
        host.run("rm", "-f", f"{path}.new")


def test_removing_takes_everything_back_but_what_the_administrator_wrote(
    host: Host, said: dict[str, str]
) -> None:
    """The last one here that needs the terminal."""
    path = f"{CATALOGUE}/terminal.toml"
    host.run("tee", "-a", path, stdin="# edited\n")
    assert f"It is kept as {path}.kept." in run_recipe(host, "terminal", "--remove").out
    left = host.run("find", CATALOGUE, APPS, "-maxdepth", "1", "-name", "terminal*").out
    assert left == f"{path}.kept\n"
    assert "# edited\n" in host.run("cat", f"{path}.kept").out
    host.run("rm", f"{path}.kept")


def test_nothing_is_installed_without_unixspawner(host: Host) -> None:
    script = f"{host.clone}/recipes/terminal/install"
    hidden = f"mount -t tmpfs none /etc/unixspawner && exec {script}"
    result = host.run("unshare", "--mount", "sh", "-c", hidden, check=False)
    assert result.status == 1
    assert result.err == (
        "recipes/terminal/install: unixspawner is not installed here: run ./install first.\n"
    )


@pytest.mark.parametrize("name", NAMES)
def test_only_root_installs(host: Host, accounts: Accounts, name: str) -> None:
    script = f"{host.clone}/recipes/{name}/install"
    result = host.as_account("alice", script, check=False)
    assert result.status == 1
    assert result.err == (f"recipes/{name}/install: this must be run by root: try it with sudo.\n")
    assert f"recipes/{name}/install --remove" in host.as_account("alice", script, "--help").out
