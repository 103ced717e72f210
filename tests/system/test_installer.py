"""The installer on a machine that is in use: it changes what must change, and takes all of it back.

Run as root. The last tests of all take the service away for a while and bring it back as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.system import service
from tests.system.accounts import Accounts, processes
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.people import is_alive, server_of
from tests.system.service import Options, options

# Everything that an installation consists of; neither state nor logs, which change by themselves.
INSTALLED = (
    *("/opt/unixspawner", "/etc/unixspawner", "/usr/local/libexec/unixspawner"),
    *("/usr/local/bin/unixspawner", "/etc/sudoers.d", "/etc/pam.d", "/etc/init.d", "/etc/rc3.d"),
    *("/etc/systemd/system", "/etc/logrotate.d", "/etc/passwd", "/etc/group", "/etc/shadow"),
    "/usr/local/share",
)
STATE = "/var/lib/unixspawner"
LEFT_BY_UNINSTALL = {"/opt/unixspawner/manifest.json"}


def photograph(host: Host) -> list[str]:
    """Path, kind, mode, owner, size, time of change and target of everything installed."""
    listing = "%p %y %m %U %G %s %T@ %l\\n"
    out = host.run("find", *INSTALLED, "-printf", listing, check=False, timeout=120).out
    return sorted(line for line in out.splitlines() if "__pycache__ " not in line)


def hub_process(host: Host) -> str:
    """Number and start time of the hub."""
    command = ("pgrep", "-o", "-u", options(host).hub_account, "-f", "jupyterhub")
    pid = host.run(*command).out.strip()
    return host.run("ps", "-o", "pid=,lstart=", "-p", pid).out.strip()


def test_a_second_run_changes_nothing_and_disturbs_nobody(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    server, hub, before = server_of(host, "alice"), hub_process(host), photograph(host)
    said = service.install(host).out
    steps = [line for line in said.splitlines() if line.startswith("[")]
    assert steps != []
    assert [step for step in steps if not step.endswith(": nothing to do")] == []
    assert photograph(host) == before
    assert hub_process(host) == hub
    assert is_alive(host, server)
    assert alice.fetch("GET", "user/alice/whoami").json()["name"] == "alice"


def test_a_plain_installation_ends_servers_that_nobody_used_for_72_hours(host: Host) -> None:
    words = ("pgrep", "-a", "-u", options(host).hub_account, "-f", "unixspawner.culling")
    assert " --idle=259200 " in host.run(*words).out


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    host: Host, accounts: Accounts
) -> None:
    before, hub = photograph(host), hub_process(host)
    said = service.install(host, "--dry-run", "--port", "8123", "--base-url", "/lab").out
    assert "would " in said
    assert "/etc/unixspawner/install.toml" in said
    assert photograph(host) == before
    assert hub_process(host) == hub


REFUSED = {
    "another address without TLS": (("--bind", "0.0.0.0"), "unencrypted"),
    "another address without TLS, IPv6": (("--bind", "::"), "unencrypted"),
    "no address": (("--bind", "everywhere"), "not an IP address"),
    "no port": (("--port", "0"), "not a port"),
    "a certificate without its key": (("--tls-cert", "/etc/hosts"), "belong together"),
    "a group with rights of its own": (("--users-group", "sudo"), "rights of its own"),
    "a group that is an option": (("--users-group=-x",), "not a Unix name"),
    "a base URL with a dot segment": (("--base-url", "/a b/"), "characters"),
}


@pytest.mark.parametrize(("arguments", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_not_be_safe_is_refused_before_anything_is_changed(
    host: Host, arguments: tuple[str, ...], reason: str
) -> None:
    before = photograph(host)
    result = service.install(host, *arguments, check=False)
    assert result.status == 1, result
    assert reason in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert photograph(host) == before


def test_passwords_over_the_network_in_the_clear_take_an_explicit_word(host: Host) -> None:
    arguments = ("--dry-run", "--bind", "0.0.0.0", "--insecure-http")
    assert service.install(host, *arguments).status == 0


def test_another_account_than_root_is_told_so(host: Host, accounts: Accounts) -> None:
    host.run("cp", f"{host.clone}/install", "/var/tmp/unixspawner-test.install")
    try:
        result = host.as_account("bob", "/var/tmp/unixspawner-test.install", check=False)
    finally:
        host.run("rm", "/var/tmp/unixspawner-test.install")
    assert result.status == 1
    assert result.err == "install: this must be run by root: try it with sudo.\n"


def arguments_for(chosen: Options) -> tuple[str, ...]:
    return (
        *("--bind", chosen.bind, "--port", str(chosen.port), "--base-url", chosen.base_url),
        *("--users-group", chosen.users_group, "--admins-group", chosen.admins_group),
        *("--hub-account", chosen.hub_account, "--pam-account", chosen.pam_account, "--demo"),
    )


@contextmanager
def brought_back(host: Host) -> Iterator[Options]:
    """Whatever happens: afterwards the service is installed as it was."""
    chosen = options(host)
    try:
        yield chosen
    finally:
        service.install(host, *arguments_for(chosen))
        wait_for("the sign-in page", lambda: service.answers(service.address(host)))


@pytest.mark.last
def test_another_port_and_base_url_are_an_option_away(host: Host, accounts: Accounts) -> None:
    with brought_back(host):
        service.install(host, "--port", "8123", "--base-url", "/lab")
        assert options(host).url.endswith(":8123/lab/")
        url = service.address(host)
        wait_for("the sign-in page", lambda: service.answers(url))
        with Browserless(url) as alice:
            page = alice.sign_in(accounts.alice)
            assert page.url.path == "/lab/user/alice/"
            assert '<span id="name">alice</span>' in page.text
            assert 'href="/lab/user/alice/logout"' in page.text
            alice.stop("alice")
        wait_for("the end of alice's server", lambda: processes(host, "alice") == [])


@pytest.mark.last
def test_uninstall_takes_back_exactly_what_was_installed(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    with brought_back(host) as chosen:
        url = service.address(host)
        service.uninstall(host)
        assert processes(host, "alice") == []
        assert left(host) == LEFT_BY_UNINSTALL | edited(host)
        for name in (chosen.hub_account, chosen.pam_account, "unixspawner-demo"):
            assert host.run("getent", "passwd", name, check=False).status == 2
        assert not service.answers(url)
        assert host.run("ls", "/run/unixspawner", check=False).status != 0
        assert host.run("visudo", "-c").status == 0
        assert host.run("test", "-e", f"{STATE}/admin-token", check=False).status == 1
        # People are the administrator's, and so is their membership.
        assert "alice" in host.run("getent", "group", chosen.users_group).out
        assert host.run("test", "-d", accounts.alice.home, check=False).status == 0
    assert '<span id="name">alice</span>' in browser().sign_in(accounts.alice).text


def left(host: Host) -> set[str]:
    """The files of ours that are still there."""
    places = ("/opt/unixspawner", "/etc/unixspawner", "/usr/local/libexec/unixspawner")
    found = host.run("find", *places, "!", "-type", "d", check=False).out.split()
    elsewhere = ("/etc", "/usr/local", "/usr/lib/systemd")
    named = host.run("find", *elsewhere, "-name", "*unixspawner*", "!", "-type", "d").out.split()
    return {path for path in (*found, *named) if not path.startswith("/etc/sudoers.d/unixspawner_")}


def edited(host: Host) -> set[str]:
    """Files that an administrator made his own; the installer says which it keeps."""
    found = host.run("find", "/etc/unixspawner", "-type", "f", check=False).out.split()
    return {path for path in found if path.endswith(".py") or "/apps.d/" in path}
