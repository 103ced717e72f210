"""Puts applications into apps.d, and asks them what they were given. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from tests.system.browserless import Browserless
from tests.system.host import Host, wait_for
from tests.system.people import Process, processes_of
from tests.system.service import CLONE

FOLDER = "/etc/unixspawner/apps.d"
PROGRAM = CLONE / "tests/unit/singleuser/program.py"
MARKER = "UNIXSPAWNER_APPLICATION"


@dataclass(frozen=True)
class Shelf:
    """Where the tests' program is, for everybody to run."""

    host: Host
    folder: str

    @property
    def command(self) -> str:
        """For a file in apps.d."""
        return f'command = ["/usr/bin/python3", "-I", "{self.folder}/program.py", "{{socket}}"]'

    @contextmanager
    def file(self, name: str, text: str) -> Iterator[None]:
        """Its content as it stands; gone afterwards."""
        path = f"{FOLDER}/{name}.toml"
        assert self.host.run("test", "-e", path, check=False).status == 1
        self.write(name, text)
        try:
            yield
        finally:
            self.host.run("rm", "-f", path)

    def write(self, name: str, text: str) -> None:
        path = f"{FOLDER}/{name}.toml"
        self.host.run("install", "-m", "0644", "/dev/stdin", path, stdin=text)

    @contextmanager
    def program(self, name: str, *lines: str, title: str = "Lab") -> Iterator[None]:
        """An application that starts the tests' program."""
        with self.file(name, "\n".join([f'title = "{title}"', self.command, *lines, ""])):
            yield


@contextmanager
def shelf(host: Host) -> Iterator[Shelf]:
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    try:
        host.run("chmod", "0755", folder)
        text = PROGRAM.read_text("utf-8")
        host.run("install", "-m", "0644", "/dev/stdin", f"{folder}/program.py", stdin=text)
        yield Shelf(host, folder)
    finally:
        host.run("rm", "-r", folder)


def ask_now(person: Browserless, account: str, path: str) -> httpx.Response:
    """What a script of a page gets, waiting included."""
    return person.fetch("GET", f"user/{account}/apps/{path}")


def ask(person: Browserless, account: str, path: str) -> httpx.Response:
    """The same of a file that is new: a server looks every other second."""

    def known() -> httpx.Response | None:
        answer = ask_now(person, account, path)
        return answer if answer.status_code != 404 else None

    return wait_for(f"the application {path}", known)


def facts(person: Browserless, account: str, path: str) -> dict[str, Any]:
    answer = ask(person, account, path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def press(person: Browserless, account: str, name: str, verb: str) -> None:
    """The button on the application's page."""
    path = f"user/{account}/apps/-/{name}/{verb}"
    answer = person.fetch("POST", path)
    assert answer.status_code in (200, 302), answer.text


def processes_of_application(host: Host, account: str, name: str) -> list[Process]:
    """By the mark in their environment."""
    return [
        process
        for process in processes_of(host, account)
        if process.environment.get(MARKER, "").startswith(f"{name}:")
    ]
