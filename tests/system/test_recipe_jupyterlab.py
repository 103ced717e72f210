"""JupyterLab by its recipe: kernels, terminals, files and configuration are the person's own.

Run as root.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.system.accounts import Account, Accounts, changed, replaced_file
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.jupyter import Lab, execute, type_line
from tests.system.people import processes_of
from tests.system.recipes import (
    APPS,
    CATALOGUE,
    installed_recipes,
    network_listeners,
    reachable_sockets,
    run_recipe,
    without_demo,
)

PLACE = "user/alice/"
FORKED = (
    "import multiprocessing\n"
    "child = multiprocessing.get_context('fork').Process(target=print, args=('from a child',))\n"
    "child.start(); child.join()"
)


@pytest.fixture(scope="module")
def root_application(host: Host) -> Iterator[None]:
    """JupyterLab takes the place of the home page."""
    with without_demo(host), installed_recipes(host, "jupyterlab") as said:
        assert "takes the place of the home page" not in said["jupyterlab"]
        yield


@pytest.fixture
def alice(root_application: None, accounts: Accounts, browser: OpenBrowser) -> Browserless:
    person = browser()
    person.sign_in(accounts.alice)
    return person


NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "<script>1</script>"},
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@contextmanager
def files_of(host: Host, account: Account, content: dict[str, str]) -> Iterator[None]:
    """Files in the person's home, which are gone afterwards with what is beside them."""
    try:
        for path, text in content.items():
            folder = f"{account.home}/{path}".rpartition("/")[0]
            host.as_account(account.name, "mkdir", "-p", folder)
            host.as_account(account.name, "tee", f"{account.home}/{path}", stdin=text)
        yield
    finally:
        for path in content:
            host.run("rm", "-rf", f"{account.home}/{path.partition('/')[0]}")


def test_kernels_terminals_and_files_are_the_persons(
    host: Host, accounts: Accounts, alice: Browserless
) -> None:
    account, lab = accounts.alice, Lab(alice, PLACE)
    with lab.kernel() as kernel, lab.terminal() as terminal:
        told = execute(kernel, "import os, sys; print(os.getuid(), os.getcwd(), sys.path[0])")
        assert told.split() == [str(account.uid), account.home, told.split()[2]]
        assert "/builds/" not in told.split()[2]
        assert execute(kernel, FORKED) == "from a child\n"
        shown = type_line(terminal, "id -u; echo $((6*7))", "42\r\n")
        assert f"\r{account.uid}\r\n42\r\n" in shown
        assert network_listeners(host, "alice") == []
        assert reachable_sockets(host, "alice", "mallory") == []

    body = {"type": "file", "format": "text", "content": "hello\n"}
    lab.ask("PUT", "api/contents/recipes-test.txt", body)
    path = f"{account.home}/recipes-test.txt"
    assert host.run("stat", "-c", "%U %a", path).out == "alice 644\n"
    lab.ask("DELETE", "api/contents/recipes-test.txt")
    assert host.run("test", "-e", path, check=False).status == 1

    assert lab.ask("GET", "api/me")["identity"]["username"] == "alice"
    alice.stop("alice")
    wait_for("the end of kernel and terminal", lambda: processes_of(host, "alice") == [])
    left = host.run("find", "/tmp", "-maxdepth", "1", "-user", "alice").out
    assert left == ""


@pytest.mark.parametrize("path", ["files/x.html", "nbconvert/html/x.ipynb"])
def test_what_is_in_a_persons_file_is_shown_in_a_sandbox(
    host: Host, accounts: Accounts, alice: Browserless, path: str
) -> None:
    """A script that somebody was given with a file must not act as who looks at it."""
    content = {"x.html": "<!doctype html><script>1</script>", "x.ipynb": json.dumps(NOTEBOOK)}
    with files_of(host, accounts.alice, content):
        answer = alice.go(PLACE + path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/html")
        policies = answer.headers.get_list("content-security-policy")
        directives = [each.split() for each in re.split("[;,]", ",".join(policies))]
        sandboxes = [words[1:] for words in directives if words[:1] == ["sandbox"]]
        assert sandboxes != []
        assert all("allow-same-origin" not in words for words in sandboxes)


def page_config(person: Browserless) -> dict[str, Any]:
    """What JupyterLab's page is told."""
    page = person.fetch("GET", PLACE + "lab").text
    text = page.partition('id="jupyter-config-data" type="application/json">')[2]
    config: dict[str, Any] = json.loads(text.partition("</script>")[0])
    return config


def test_the_page_knows_the_hub_and_hides_what_cannot_work(alice: Browserless) -> None:
    config = page_config(alice)
    assert config["baseUrl"] == f"{alice.base}{PLACE}"
    assert config["hubPrefix"] == f"{alice.base}hub/"
    assert config["hubUser"] == "alice"
    assert config["quitButton"] is False
    assert config["token"] == ""
    assert "@jupyterlab/debugger-extension" in config["disabledExtensions"]


def test_signing_out_of_jupyterlab_is_signing_out(alice: Browserless) -> None:
    assert alice.go(PLACE + "lab").status_code == 200
    alice.go(PLACE + "logout")
    assert alice.fetch("GET", PLACE + "api/contents").status_code == 403


def test_where_it_is_one_of_several_its_way_out_leads_to_the_same_place(
    host: Host, accounts: Accounts, root_application: None, browser: OpenBrowser
) -> None:
    path, place = f"{CATALOGUE}/jupyterlab.toml", PLACE + "apps/jupyterlab/"
    text = host.run("cat", path).out.replace("root = true", "root = false")
    with replaced_file(host, path, text):
        person = browser()
        person.sign_in(accounts.alice)
        assert person.fetch("GET", place + "api/contents").is_success
        answer = person.fetch("GET", place + "logout")
        first, second = (each.url.path for each in answer.history[:2])
        assert (first, second) == (f"{person.base}{place}logout", f"{person.base}{PLACE}logout")
        assert person.fetch("GET", place + "api/contents").status_code == 403


def test_it_opens_where_the_administrator_says_and_shows_the_whole_home(
    host: Host, accounts: Accounts, root_application: None, browser: OpenBrowser
) -> None:
    path = f"{CATALOGUE}/jupyterlab.toml"
    text = host.run("cat", path).out.replace("# directory =", "directory =")
    assert '\ndirectory = "~/notebooks"\n' in text
    with replaced_file(host, path, text), files_of(host, accounts.alice, {"notebooks/a.txt": "x"}):
        person = browser()
        person.sign_in(accounts.alice)
        assert page_config(person)["preferredPath"] == "notebooks"
        names = [each["name"] for each in Lab(person, PLACE).ask("GET", "api/contents")["content"]]
        assert "notebooks" in names


def test_the_persons_own_configuration_and_kernels_count(
    host: Host, accounts: Accounts, root_application: None, browser: OpenBrowser
) -> None:
    script = host.run("cat", f"{APPS}/jupyterlab/start").out
    python = next(word for word in script.split() if word.endswith("/bin/python"))
    # with a TMPDIR of its own, since ipykernel leaves what it has copied from there
    announce = f"TMPDIR=~/.jupyter {python} -m ipykernel install --user --name mine --env MINE yes"
    settings = (
        "c.ServerApp.port = 9999\nc.ServerApp.ip = '0.0.0.0'\nc.ServerApp.password = 'x'\n"
        "c.ServerApp.base_url = '/elsewhere'\nc.MappingKernelManager.default_kernel_name = 'mine'\n"
    )
    files = {".jupyter/jupyter_server_config.py": settings, ".local/share/jupyter/x": ""}
    with files_of(host, accounts.alice, files):
        host.as_account("alice", "sh", "-c", announce)
        person = browser()
        person.sign_in(accounts.alice)
        lab = Lab(person, PLACE)
        specs = lab.ask("GET", "api/kernelspecs")
        assert specs["default"] == "mine"
        assert sorted(specs["kernelspecs"]) == ["mine", "python3"]
        with lab.kernel("mine") as kernel:
            assert execute(kernel, "import os; print(os.environ['MINE'])") == "yes\n"
            assert network_listeners(host, "alice") == []
        person.stop("alice")


def test_a_broken_configuration_gives_its_log_and_not_a_dead_server(
    host: Host, accounts: Accounts, root_application: None, browser: OpenBrowser
) -> None:
    broken = {".jupyter/jupyter_server_config.py": "c.ServerApp.root_dir = '/no/such/place'\n"}
    with files_of(host, accounts.alice, broken):
        person = browser()
        person.sign_in(accounts.alice)
        answer = person.fetch("GET", PLACE)
        assert answer.status_code == 503
        page = person.go(PLACE + "apps/-/jupyterlab/log")
        assert "/no/such/place" in page.text
        person.stop("alice")


@pytest.fixture
def lab_environment(host: Host, root_application: None) -> Iterator[str]:
    """Where an administrator has an environment of his own; there is no JupyterLab in it."""
    path = "/opt/unixspawner-test-lab"
    host.run("mkdir", "-p", f"{path}/bin", f"{path}/lib")
    host.run("ln", "-s", "/usr/bin/python3", f"{path}/bin/python")
    try:
        yield path
    finally:
        host.run("rm", "-rf", path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("chmod g+w {}", "may be written by others than root."),
        ("chown alice {}/bin", "is not root's."),
        ("rm {}/bin/python", "does not exist: --environment names a venv."),
        ("true {}", "cannot import jupyterlab.labapp when another account than root runs it."),
    ],
)
def test_an_environment_that_people_could_not_trust_or_use_is_refused(
    host: Host, lab_environment: str, accounts: Accounts, change: str, complaint: str
) -> None:
    host.run("sh", "-c", change.format(lab_environment))
    before = host.run("cat", f"{APPS}/jupyterlab/start").out
    result = run_recipe(host, "jupyterlab", "--environment", lab_environment, check=False)
    assert result.status == 1
    assert complaint in result.err
    assert host.run("cat", f"{APPS}/jupyterlab/start").out == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--group", "root"), "--group goes with --environment."),
        (("--environment", "/usr", "--group", "none-such"), 'there is no group "none-such".'),
        (("--environment", "/usr", "--group", "0"), 'there is no group "0".'),
        (("--environment", "/usr", "--group", 'a"]'), "there is no group"),
        (("--environment", "/usr", "--group"), "--group needs a group."),
    ],
)
def test_a_group_that_cannot_be_meant_is_refused(
    host: Host, root_application: None, options: tuple[str, ...], complaint: str
) -> None:
    result = run_recipe(host, "jupyterlab", *options, check=False)
    assert result.status == 1
    assert complaint in result.err


# The last ones here: with them the recipe's own environment goes.


@pytest.fixture(scope="module")
def full_environment(host: Host, root_application: None) -> Iterator[str]:
    """An environment of the administrator's with JupyterLab in it."""
    path = "/opt/unixspawner-test-full-lab"
    built = host.run("sh", "-c", f"ls -d {APPS}/jupyterlab/builds/*/environment").out.strip()
    host.run("cp", "-a", built, path, timeout=120)
    try:
        yield path
    finally:
        host.run("rm", "-rf", path, timeout=120)


def prefix_of_a_kernel(person: Browserless) -> str:
    with Lab(person, PLACE).kernel() as kernel:
        return execute(kernel, "import os, sys; print(os.path.realpath(sys.prefix))").strip()


def test_an_environment_for_a_group_is_there_for_its_members_alone(
    host: Host, accounts: Accounts, full_environment: str, browser: OpenBrowser
) -> None:
    group, environment = "unixspawner-test", full_environment
    with (
        changed(host, ("groupadd", group), ("groupdel", group)),
        changed(host, ("gpasswd", "-a", "alice", group), ("gpasswd", "-d", "alice", group)),
        changed(host, ("chgrp", group, environment), ("chgrp", "root", environment)),
        changed(host, ("chmod", "0750", environment), ("chmod", "0755", environment)),
    ):
        options = ("jupyterlab", "--environment", environment)
        refused = run_recipe(host, *options, check=False)
        assert refused.status == 1
        assert "Where a group alone may read it, say --group." in refused.err
        run_recipe(host, *options, "--group", group)
        member, other = browser(), browser()
        member.sign_in(accounts.alice)
        assert prefix_of_a_kernel(member) == environment
        other.sign_in(accounts.bob)
        assert other.go("user/bob/apps/jupyterlab/").status_code == 404
        assert "JupyterLab" not in other.go("user/bob/apps/").text
        assert "JupyterLab" in member.go("user/alice/apps/").text
        member.stop("alice")
        wait_for("the end of it", lambda: processes_of(host, "alice") == [])


def test_an_environment_that_is_there_already_is_used(
    host: Host, accounts: Accounts, full_environment: str, browser: OpenBrowser
) -> None:
    run_recipe(host, "jupyterlab", "--environment", full_environment)
    used = host.run("sh", "-c", f"readlink {APPS}/jupyterlab/builds/*/environment").out
    assert used == f"{full_environment}\n"  # of its own there is none left
    assert "groups" not in host.run("cat", f"{CATALOGUE}/jupyterlab.toml").out
    person = browser()
    person.sign_in(accounts.alice)
    assert prefix_of_a_kernel(person) == full_environment
    person.stop("alice")
