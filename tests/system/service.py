"""The service under test, installed from this clone by its own installer.

Run by pytest as root. A service that was here before stays here; one that the tests installed is
uninstalled and purged when they are over.
"""

from __future__ import annotations

import functools
import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.system.host import Host, Result, wait_for

CLONE = Path(__file__).resolve().parents[2]
INSTALL_TOML = "/etc/unixspawner/install.toml"
MANIFEST = "/opt/unixspawner/manifest.json"
RUN = "/run/unixspawner"
DEMO_SOCKET = "/run/unixspawner-demo/demo.sock"
MEDIATOR = "/usr/local/libexec/unixspawner/mediator"
AUTHENTICATE = "/usr/local/libexec/unixspawner/authenticate"
MEDIATOR_TOML = "/etc/unixspawner/mediator.toml"
SUDOERS = "/etc/sudoers.d/unixspawner"
DATABASE = "/var/lib/unixspawner/jupyterhub.sqlite"
INSTALL_DEADLINE = 900.0


@dataclass(frozen=True)
class Options:
    """What the installer was told, as far as tests need it."""

    bind: str
    port: int
    base_url: str
    tls: bool
    users_group: str
    admins_group: str
    hub_account: str
    pam_account: str

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.bind}:{self.port}{self.base_url}"


def options(host: Host) -> Options:
    """Read what the installer wrote down."""
    table = tomllib.loads(host.run("cat", INSTALL_TOML).out)
    return Options(
        bind=str(table["bind"]),
        port=int(table["port"]),
        base_url=str(table["base_url"]),
        tls=bool(table["tls_cert"]),
        users_group=str(table["users_group"]),
        admins_group=str(table["admins_group"]),
        hub_account=str(table["hub_account"]),
        pam_account=str(table["pam_account"]),
    )


def is_installed(host: Host) -> bool:
    return host.run("test", "-e", INSTALL_TOML, check=False).status == 0


def install(host: Host, *arguments: str, check: bool = True) -> Result:
    """Run this clone's installer."""
    command = (f"{host.clone}/install", *arguments)
    return host.run(*command, check=check, timeout=INSTALL_DEADLINE)


def uninstall(host: Host, *arguments: str) -> Result:
    return host.run("unixspawner", "uninstall", "--yes", *arguments, timeout=INSTALL_DEADLINE)


def address(host: Host) -> str:
    """The service's address, as it is reached from here."""
    chosen = options(host)
    name, port = host.reach(chosen.bind, chosen.port)
    return chosen.url.replace(f"//{chosen.bind}:{chosen.port}/", f"//{name}:{port}/")


@contextmanager
def installed(host: Host) -> Iterator[str]:
    """The service of this clone, with the demo, ready to be asked. Yields its URL."""
    was_here = is_installed(host)
    install(host, "--demo", *port_of_a_copy())
    url = address(host)
    wait_for("the sign-in page", lambda: answers(url))
    try:
        yield url
    finally:
        if not was_here:
            purge(host)


def number_of_copy() -> str:
    """Of the copy of a machine that this is (tests/machine); empty when it is none."""
    return os.environ.get("UNIXSPAWNER_TESTS_MACHINE", "")


def port_of_a_copy() -> tuple[str, ...]:
    """The copies of a machine share its network: each has another port."""
    number = number_of_copy()
    return ("--port", f"8{number}00") if number else ()


def purge(host: Host) -> None:
    """Uninstall it, of which nothing may be left: what the installer wrote down, or of our name."""
    made = json.loads(host.run("cat", MANIFEST).out)
    uninstall(host, "--purge")
    names = [("passwd", name) for name in (*made["accounts"], *made["people"])]
    names += [("group", name) for name in made["groups"]]
    found = [name for name in names if host.run("getent", *name, check=False).status == 0]
    files = [
        path for path in made["files"] if host.run("test", "-e", path, check=False).status == 0
    ]
    assert (found, files, _files_of_our_name(host)) == ([], [], [])


def _files_of_our_name(host: Host) -> list[str]:
    """Those of the tests left out."""
    named = ("-name", "*unixspawner*", "-not", "-name", "unixspawner-test*")
    places = ("/etc", "/usr/local", "/usr/lib/systemd")
    found = host.run("find", *places, *named, check=False).out.splitlines()
    beside = ("/opt", "/run", "/var/lib", "/var/log")
    return found + host.run("find", *beside, "-maxdepth", "1", *named).out.splitlines()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}hub/login").status_code == 200
    except httpx.TransportError:
        return False


def service_command(host: Host, word: str) -> tuple[str, ...]:
    """Start or stop the service as its administrator does."""
    if has_systemd(host):
        return ("systemctl", word, "unixspawner")
    return ("/etc/init.d/unixspawner", word)


@functools.cache
def has_systemd(host: Host) -> bool:
    return host.run("test", "-d", "/run/systemd/system", check=False).status == 0


def do(host: Host, verb: str) -> None:
    """Start, stop or restart the hub's service, and wait until it answers."""
    host.run(*service_command(host, verb), timeout=90)
    if verb != "stop":
        wait_for("the sign-in page", lambda: answers(host.url))


@contextmanager
def without_hub(host: Host) -> Iterator[None]:
    do(host, "stop")
    try:
        yield
    finally:
        do(host, "start")
