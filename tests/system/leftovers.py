"""What a test could leave on the machine, and how it is cleared away.

Run by pytest as root.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, dataclass
from typing import Self

from tests.system.accounts import LIST, NAMES, Accounts, of_people
from tests.system.browserless import Browserless
from tests.system.database import QUERY, TOKENS, notes
from tests.system.host import Host, wait_for
from tests.system.service import DATABASE, RUN

TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
# A server keeps its log there, and may keep it, when the home takes none.
SPARE_LOGS = ("-not", "-name", "unixspawner-[0-9]*")
# All in one, since on another machine a command takes longer to get there than to be done.
_LOOK = f"""
{LIST}
printf '\\0'
/usr/bin/python3 -IS -c "$2" "$3" "$4"
printf '\\0'
find "$5" -mindepth 1
printf '\\0'
shift 5
find {" ".join(TEMPORARY)} -maxdepth 1 -ignore_readdir_race "$@"
"""


@dataclass(frozen=True)
class Leftovers:
    """Sockets of servers, processes and temporary files of the tests' people, tokens of servers."""

    sockets: tuple[str, ...]
    processes: tuple[str, ...]
    tokens: tuple[str, ...]
    temporary_files: tuple[str, ...]

    @classmethod
    def of(cls, host: Host, accounts: Accounts) -> Self:
        words = (accounts.numbers, QUERY, DATABASE, TOKENS, f"{RUN}/servers")
        said = host.run("sh", "-ec", _LOOK, "sh", *words, *temporary_files(accounts)).out
        running, tokens, sockets, files = said.split("\0")
        return cls(
            sockets=lines(sockets),
            processes=tuple(of_people(running)),
            tokens=notes(tokens),
            temporary_files=lines(files),
        )

    def beyond(self, before: Self) -> list[str]:
        """What is here now and was not before; what has gone is not left behind."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return [each for now, then in pairs for each in (Counter(now) - Counter(then)).elements()]


def temporary_files(accounts: Accounts) -> tuple[str, ...]:
    """Which of them find has to look for: by number, since a test may have taken a name away."""
    owners = [word for uid in accounts.numbers.split(",") for word in ("-o", "-uid", uid)]
    return ("(", "-name", "unixspawner-test.*", *owners, ")", *SPARE_LOGS)


def lines(text: str) -> tuple[str, ...]:
    return tuple(sorted(text.splitlines()))


def clear_away(administrator: Browserless) -> None:
    """Stop every server of the tests' people, as an administrator does."""
    for name, servers in administrator.everybodys_servers().items():
        for server in servers if name in NAMES else ():
            administrator.stop(name, server)
    wait_for("the end of all servers", lambda: not _running(administrator))


def _running(administrator: Browserless) -> list[str]:
    found = administrator.everybodys_servers().items()
    return [name for name, servers in found if name in NAMES and servers]
