"""What takes the service away from its address for a while, and brings it back as it was.

Run as root, after all other tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system import service
from tests.system.accounts import Account, Accounts, processes
from tests.system.browserless import Browserless
from tests.system.certificates import CHAIN, certificate
from tests.system.documented import Documented
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.people import servers_of
from tests.system.service import Options, options
from tests.system.test_documented_commands import NO_TLS_COMMAND, RUN_ELSEWHERE, TLS_COMMAND

pytestmark = pytest.mark.last
STATE = "/var/lib/unixspawner"
LEFT_BY_UNINSTALL = {"/opt/unixspawner/manifest.json"}


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


def sign_in_with_tls(host: Host, account: Account, url: str) -> None:
    """Over a checked certificate, with every cookie that signs somebody in kept to TLS."""
    with Browserless(url) as person:
        page = person.sign_in(account)
        assert page.url.scheme == "https"
        assert f'<span id="name">{account.name}</span>' in page.text
        signing_in = list(person._client.cookies.jar)
        assert len(signing_in) >= 3  # the hub's, its session's number, the server's
        assert [cookie.name for cookie in signing_in if not cookie.secure] == []
        # a server keeps its cookies as it was started, so the next one is to be started without
        person.go("hub/home")
        stopped = person.fetch("DELETE", f"hub/api/users/{account.name}/server")
        assert stopped.status_code in (202, 204)
        wait_for("the end of the server", lambda: not servers_of(host, account.name))


def test_tls_commands_protect_passwords(
    host: Host,
    accounts: Accounts,
    browser: OpenBrowser,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert {TLS_COMMAND, NO_TLS_COMMAND} <= RUN_ELSEWHERE.keys()
    chosen = options(host)
    plain = ("--no-tls", "--bind", chosen.bind)
    with certificate(host) as faults:
        try:
            Documented(TLS_COMMAND, host, accounts, browser).run()
            name, port = host.reach("127.0.0.1", chosen.port)
            with monkeypatch.context() as patch:
                chain = tmp_path / "chain.pem"
                chain.write_text(host.run("cat", CHAIN).out)
                patch.setenv("SSL_CERT_FILE", str(chain))
                url = f"https://{name}:{port}{chosen.base_url}"
                sign_in_with_tls(host, accounts.alice, url)
            assert not service.answers(f"http://{name}:{port}{chosen.base_url}")
            key = host.run("stat", "-c", "%U:%G %a", "/run/unixspawner-tls/key.pem").out.strip()
            assert key == f"root:{chosen.hub_account} 440"
            faults.assert_the_doctor_reads_each(tmp_path)
            Documented(NO_TLS_COMMAND, host, accounts, browser).run()
            wait_for("the sign-in page", lambda: service.answers(service.address(host)))
        finally:
            service.install(host, *plain)
    with Browserless(host.url) as alice:
        assert '<span id="name">alice</span>' in alice.sign_in(accounts.alice).text
