"""The installer on a machine that is in use: it changes what must change, and takes all of it back.

Run as root.
"""

from __future__ import annotations

import pytest
from tests.system import command, service
from tests.system.accounts import Accounts
from tests.system.breakages import gone
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.people import is_alive, server_of
from tests.system.service import options
from tests.system.sessions import SESSION_STACK

# Everything that an installation consists of; neither state nor logs, which change by themselves.
INSTALLED = (
    *("/opt/unixspawner", "/etc/unixspawner", "/usr/local/libexec/unixspawner"),
    *("/usr/local/bin/unixspawner", "/etc/sudoers.d", "/etc/pam.d", "/etc/init.d", "/etc/rc3.d"),
    *("/etc/systemd/system", "/etc/logrotate.d", "/etc/passwd", "/etc/group", "/etc/shadow"),
    "/usr/local/share",
)


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


def test_cures_name_the_clone_of_the_last_installation(host: Host) -> None:
    """Also where nothing had to be built, because only the clone has moved."""
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    moved = f"{folder}/clone"
    try:
        host.run("cp", "-R", host.clone, moved)
        host.run(f"{moved}/install", timeout=service.INSTALL_DEADLINE)
        with gone(SESSION_STACK)(host):
            assert f"{moved}/install" in {each.cure for each in command.findings(host)}
    finally:
        service.install(host)
        host.run("rm", "-r", folder)
    with gone(SESSION_STACK)(host):
        assert f"{host.clone}/install" in {each.cure for each in command.findings(host)}


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
