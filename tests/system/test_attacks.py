"""Attacks that once worked, each run again for real. See docs/threats.md."""

from __future__ import annotations

import time

import httpx
import pytest
from tests.system.accounts import Accounts, changed
from tests.system.browserless import login_error
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.logs import HubLog
from tests.system.people import servers_of
from tests.system.service import has_systemd, options, service_command
from tests.system.squatter import squatting

INIT = "/etc/init.d/unixspawner"


@pytest.mark.parametrize(
    ("change", "is_let_in"),
    [
        (("chage", "-M", "30", "-W", "7", "-d", "@28 days ago"), True),
        (("chage", "-M", "30", "-I", "9999", "-d", "2020-01-01"), False),
        (("chage", "-E", "1"), False),
    ],
    ids=["expires soon", "expired long ago", "account expired"],
)
def test_what_pam_says_beside_its_answer_breaks_nothing(
    host: Host,
    accounts: Accounts,
    browser: OpenBrowser,
    hub_log: HubLog,
    change: tuple[str, ...],
    is_let_in: bool,
) -> None:
    """PAM speaks to the person about ages, also after the password: it must find somebody there."""
    dates = [word.removeprefix("@") for word in change if word.startswith("@")]
    date = host.run("date", "+%F", "-d", dates[0]).out.strip() if dates else ""
    command = tuple(date if word.startswith("@") else word for word in change)
    today = host.run("date", "+%F").out.strip()
    back = ("chage", "-M", "99999", "-I", "-1", "-E", "-1", "-d", today, "bob")
    with changed(host, (*command, "bob"), back):
        answer = browser().submit_sign_in("bob", accounts.bob.password)
    assert (login_error(answer) == "") is is_let_in
    assert "not allowed to start servers" not in answer.text
    assert "Segmentation" not in hub_log.text()


def test_an_account_without_a_password_is_let_in_with_none(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    entry = f"bob:{accounts.bob.password}\n"
    host.run("passwd", "-d", "bob")
    try:
        for password in ("x", ""):
            assert login_error(browser().submit_sign_in("bob", password)) != ""
    finally:
        host.run("chpasswd", stdin=entry)


def test_a_client_does_not_choose_the_address_in_the_log(host: Host, hub_log: HubLog) -> None:
    headers = {"X-Real-IP": "6.6.6.6", "Sec-Fetch-Mode": "navigate"}
    with httpx.Client(headers=headers) as client:
        page = client.get(f"{host.url}hub/login")
        form = {"username": "#0", "password": "x", "_xsrf": page.cookies["_xsrf"]}
        client.post(f"{host.url}hub/login", data=form)
    hub_log.wait_for("Sign-in refused for #0 from")
    assert "6.6.6.6" not in hub_log.text()


def test_who_has_taken_the_port_is_not_taken_for_us(
    host: Host, accounts: Accounts, hub_log: HubLog
) -> None:
    assert accounts.mallory
    chosen = options(host)
    whose = (
        f"Port {chosen.port} on {chosen.bind} belongs to a program of mallory: "
        "end it, or choose another with `./install --port`."
    )
    with squatting(host):
        started = host.run(*service_command(host, "start"), check=False, timeout=120)
        assert started.status == 1
        hub_log.wait_for(whose)
        if not has_systemd(host):  # whose own words would be others
            assert "does not answer" in started.err
            assert whose in started.err
        assert host.run("unixspawner", "status", "--quiet", check=False).status != 0


def test_the_hub_inherits_nothing_from_the_shell_that_starts_it(host: Host) -> None:
    if has_systemd(host):
        pytest.skip("the script is for machines without systemd")
    secret = host.run("mktemp", "/root/secret.XXXXXX").out.strip()
    try:
        host.run("bash", "-c", f"exec 7<>{secret}; {INIT} restart", timeout=120)
        pid = host.run("cat", "/run/unixspawner.pid").out.strip()
        assert secret not in host.run("sh", "-c", f"readlink /proc/{pid}/fd/*", check=False).out
    finally:
        host.run("rm", secret)


def test_what_the_hub_leaves_behind_does_not_hang_a_stop(host: Host) -> None:
    if has_systemd(host):
        pytest.skip("the script is for machines without systemd")
    hub = options(host).hub_account
    host.run(INIT, "stop")
    try:
        host.run("rm", "-f", "/run/unixspawner/proxy.pid")
        host.as_account(hub, "mkfifo", "/run/unixspawner/proxy.pid")
        began = time.monotonic()
        host.run(INIT, "stop", timeout=20)
        assert time.monotonic() - began < 15  # it waits for a writer for two seconds
    finally:
        host.run("rm", "-f", "/run/unixspawner/proxy.pid")
        host.run(INIT, "start", timeout=120)


def test_a_person_who_stops_their_server_leaves_no_sudo_of_root(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """sudo stops with its command, and nobody but the hub could wake it again."""
    page = browser()
    page.sign_in(accounts.bob)
    (server,) = servers_of(host, "bob")
    parent = host.run("ps", "-o", "ppid=", "-p", str(server.pid)).out.strip()
    host.as_account("bob", "kill", "-STOP", str(server.pid))
    wait_for("sudo to stop too", lambda: _state(host, parent).startswith("T"))
    host.as_account("bob", "kill", "-KILL", str(server.pid))
    # a zombie has ended: the hub collects it when it next has to do with a child
    wait_for("the end of sudo", lambda: _state(host, parent) in ("", "Z"), deadline=30)


def _state(host: Host, pid: str) -> str:
    return host.run("ps", "-o", "state=", "-p", pid, check=False).out.strip()
