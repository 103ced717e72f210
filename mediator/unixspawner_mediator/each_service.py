"""Asks each name service of nsswitch.conf by itself, for when somebody seems to have vanished.

Used in `authenticate`, and run by the hub as a child for one question. Together, services hide
each other's failures: with `passwd: sss files`, an sssd that is down looks like "no such account".
Each is asked in a process of its own, which can be ended when the service hangs.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, NamedTuple

from . import name_service
from .name_service import NOBODYS_GROUP, Entry, UnavailableError

NSSWITCH = "/etc/nsswitch.conf"
PATIENCE = 2.0  # seconds for a service that hangs
# Some builds of SSSD's client say "no such account" when the daemon does not run. So what it says
# counts only when somebody listens there.
SOCKETS = {"sss": "/var/lib/sss/pipes/nss"}


class Report(NamedTuple):
    """What one service says: the accounts that it knows, and who is in which of the groups."""

    accounts: dict[str, Entry]
    groups: dict[str, frozenset[str]]


Reports = dict[str, Report | None]
"""By service, those of accounts first and in their order; None for one that does not answer."""


class Question(NamedTuple):
    """Names of accounts, and groups with their numbers, NO_GROUP where that is not known."""

    names: list[str]
    groups: dict[str, int]


def ask_each(question: Question) -> Reports:
    """Ask every service that this machine is configured to ask."""
    return parse(_ask_all(question))


def silent(reports: Reports) -> list[str]:
    """The services that gave no answer."""
    return sorted(service for service, report in reports.items() if report is None)


def services(nsswitch: str) -> dict[str, list[str]]:
    """The services of each database that we ask, without actions such as [NOTFOUND=return]."""
    found: dict[str, list[str]] = {"passwd": ["files"], "group": ["files"], "initgroups": []}
    for line in nsswitch.splitlines():
        database, _, rest = line.partition("#")[0].partition(":")
        if database.strip() in found:
            text = "".join(part.rpartition("]")[2] for part in rest.split("["))
            found[database.strip()] = list(dict.fromkeys(text.split()))
    return found


def parse(answers: dict[str, Any]) -> Reports:
    """What `main` printed, as read from JSON."""
    return {service: answer and _report(answer) for service, answer in answers.items()}


def _report(answer: dict[str, Any]) -> Report:
    accounts = {name: Entry(*entry) for name, entry in answer["accounts"].items()}
    return Report(accounts, {name: frozenset(of) for name, of in answer["groups"].items()})


def main() -> None:
    """Standard input: names and groups. Standard output: each service's answer, or null."""
    answers = _ask_all(Question(**json.load(sys.stdin)))
    sys.stdout.write(json.dumps(answers))


def _ask_all(question: Question) -> dict[str, Any]:
    lines = services(_read(NSSWITCH))
    group_services = {*lines["group"], *lines["initgroups"]}
    deadline = time.monotonic() + PATIENCE
    children = {}
    for service in dict.fromkeys([*lines["passwd"], *lines["group"], *lines["initgroups"]]):
        asked = service in lines["passwd"], service in group_services
        children[service] = _child(service, question, *asked)
    return {service: _collect(*child, deadline) for service, child in children.items()}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""  # then the C library asks files


def _child(service: str, question: Question, accounts: bool, groups: bool) -> tuple[int, int]:
    """Let a process of its own ask; returns its number and a pipe that brings the answer."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer: object = None
            with contextlib.suppress(UnavailableError):
                answer = _ask(service, question, accounts, groups)
            with open(writer, "wb") as pipe:
                pipe.write(json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writer)
    return pid, reader


def _collect(pid: int, reader: int, deadline: float) -> Any:
    with open(reader, "rb") as pipe:
        data = _read_until(pipe.fileno(), deadline)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return json.loads(data) if data else None


def _read_until(descriptor: int, deadline: float) -> bytes:
    """What comes up to the end; nothing when that does not come in time."""
    data = b""
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(descriptor, 65536)
        if not piece:
            return data
        data += piece
    return b""


def _ask(service: str, question: Question, accounts: bool, groups: bool) -> dict[str, Any]:
    """Runs in the child, which asks nobody else from here on."""
    _require_listener(service)
    name_service.use_only(service, ("passwd", "group", "initgroups"))
    numbers = _numbers(question.groups) if groups else question.groups
    entries, memberships = {}, {}
    for name in question.names:
        entry = name_service.find_account(name) if accounts else None
        primary = entry.gid if entry else NOBODYS_GROUP
        ids = name_service.group_ids(name, primary) if groups else {primary}
        memberships[name] = [group for group, number in numbers.items() if number in ids]
        if entry is not None:
            entries[name] = entry
    return {"accounts": entries, "groups": memberships}


def _numbers(groups: dict[str, int]) -> dict[str, int]:
    """Asked also because it says when the service is down, which getgrouplist cannot."""
    return {
        group: name_service.find_group(group) or number  # no group of people has the number 0
        for group, number in groups.items()
    }


def _require_listener(service: str) -> None:
    if service in SOCKETS:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            try:
                client.connect(SOCKETS[service])
            except OSError as error:
                raise UnavailableError(f"{service} does not listen") from error


if __name__ == "__main__":
    main()
