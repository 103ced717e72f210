"""What a test could leave on the machine, and how it is cleared away.

Run by pytest as root.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, dataclass
from typing import Self

from tests.system.accounts import NAMES, Accounts, processes
from tests.system.browserless import Browserless
from tests.system.database import server_tokens
from tests.system.host import Host, wait_for
from tests.system.service import RUN

TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
# A server keeps its log there, and may keep it, when the home takes none.
SPARE_LOGS = ("-not", "-name", "unixspawner-[0-9]*")


@dataclass(frozen=True)
class Leftovers:
    """Sockets of servers, processes and temporary files of the tests' people, tokens of servers."""

    sockets: tuple[str, ...]
    processes: tuple[str, ...]
    tokens: tuple[str, ...]
    temporary_files: tuple[str, ...]

    @classmethod
    def of(cls, host: Host, accounts: Accounts) -> Self:
        return cls(
            sockets=lines(host.run("find", f"{RUN}/servers", "-mindepth", "1").out),
            processes=tuple(processes(host, accounts.numbers)),
            tokens=server_tokens(host),
            temporary_files=temporary_files(host, accounts),
        )

    def beyond(self, before: Self) -> list[str]:
        """What is here now and was not before; what has gone is not left behind."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return [each for now, then in pairs for each in (Counter(now) - Counter(then)).elements()]


def temporary_files(host: Host, accounts: Accounts) -> tuple[str, ...]:
    """By number, since a test may have taken a name away."""
    owners = [word for uid in accounts.numbers.split(",") for word in ("-o", "-uid", uid)]
    wanted = ("(", "-name", "unixspawner-test.*", *owners, ")", *SPARE_LOGS)
    where = ("find", *TEMPORARY, "-maxdepth", "1", "-ignore_readdir_race")
    return lines(host.run(*where, *wanted).out)


def lines(text: str) -> tuple[str, ...]:
    return tuple(sorted(text.splitlines()))


def clear_away(host: Host, administrator: Browserless) -> None:
    """Stop every server of the tests' people, as an administrator does."""
    for name in NAMES:
        if administrator.fetch("GET", f"hub/api/users/{name}").status_code == 404:
            continue
        for server in administrator.servers(name):
            administrator.stop(name, server)
        wait_for_the_end(host, administrator, name)


def wait_for_the_end(host: Host, administrator: Browserless, name: str) -> None:
    def ended() -> bool:
        return all(server["stopped"] for server in administrator.servers(name).values())

    wait_for(f"the end of the servers of {name}", ended)
