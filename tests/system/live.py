"""What the tests of live membership share: ways to leave, and what there is to lose.

Run by pytest as root.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.system.accounts import Account, changed
from tests.system.browserless import Browserless
from tests.system.database import query
from tests.system.host import Host, patient, wait_for
from tests.system.people import MARKER, Process, is_alive, servers_of
from tests.system.service import RUN, options
from tests.system.visits import routes, whoami

PROMISE = 10.0  # seconds from the command to the end of the last process


def out_of_the_group(host: Host, person: Account) -> AbstractContextManager[None]:
    group = options(host).users_group
    leave, join = ("gpasswd", "-d", person.name, group), ("usermod", "-aG", group, person.name)
    return changed(host, leave, join)


def locked(host: Host, person: Account) -> AbstractContextManager[None]:
    return changed(host, ("usermod", "-L", person.name), ("usermod", "-U", person.name))


def expired(host: Host, person: Account, date: str = "0") -> AbstractContextManager[None]:
    """`date` is as chage has it: days since 1970, or YYYY-MM-DD."""
    return changed(host, ("chage", "-E", date, person.name), ("chage", "-E", "-1", person.name))


@contextmanager
def removed(host: Host, person: Account) -> Iterator[None]:
    """The account is made again afterwards, as it was."""
    groups = host.run("id", "-Gn", person.name).out.split()
    supplementary = ",".join(group for group in groups if group != person.name)
    gecos = host.run("getent", "passwd", person.name).out.split(":")[4]
    host.run("userdel", "-f", person.name, check=False)  # 8: it has processes, and is gone
    try:
        yield
    finally:
        make = ("useradd", "-M", "-U", "-u", str(person.uid), "-d", person.home, "-c", gecos)
        host.run(*make, "-s", "/bin/bash", "-G", supplementary, person.name)
        host.run("chpasswd", stdin=f"{person.name}:{person.password}\n")


def lose_sight_of_a_child(host: Host, name: str, server_id: str) -> None:
    """What a server has started in a session of its own, and is not the parent of any more."""
    script = "exec setsid tail -f /dev/null >/dev/null 2>&1 </dev/null &"
    host.as_account(name, "env", f"{MARKER}={server_id}", "sh", "-c", script)
    wait_for("the child", lambda: any(p.command[0] == "tail" for p in servers_of(host, name)))


def seconds_until_gone(host: Host, processes: list[Process], begun: float) -> float:
    """From a moment to the end of the last process; fails after the promised time."""
    for process in processes:
        wait_for("its end", lambda process=process: not is_alive(host, process), left(begun))  # type: ignore[misc]
    return time.monotonic() - begun


def left(begun: float) -> float:
    """Of the promised time; a moment at least, to look once. On a slow machine time goes slowly."""
    return max(0.1, PROMISE - (time.monotonic() - begun) / patient(1))


def seconds_until_out(
    host: Host, person: Browserless, token: str, ended: list[Process], begun: float
) -> float:
    """The same of what a person holds besides processes: token, session, routes, sockets."""
    name = ended[0].environment["USER"]
    ids = {process.server_id for process in ended}
    signs: dict[str, Callable[[], bool]] = {
        "the token": lambda: whoami(host, token).status_code == 403,
        "the session": lambda: person.go("hub/home").url.path.endswith("/hub/login"),
        "the routes": lambda: f"/user/{name}" not in routes(host),
        "the sockets": lambda: not _files_of(host, ids),
        "the last token": lambda: number_of_tokens(host, name) == 0,
    }
    for what, has_gone in signs.items():
        wait_for(f"{what} to go", has_gone, left(begun))
    return time.monotonic() - begun


def _files_of(host: Host, server_ids: set[str]) -> list[str]:
    """Their sockets and records."""
    files = host.run("ls", f"{RUN}/servers").out.split()
    return [name for name in files if name.partition(".")[0] in server_ids]


def number_of_tokens(host: Host, name: str) -> int:
    rows = query(
        host,
        "SELECT count(*) FROM api_tokens JOIN users ON users.id = api_tokens.user_id "
        f"WHERE users.name = '{name}'",
    )
    return int(str(rows[0][0]))


def assert_is_out(host: Host, person: Browserless, name: str, token: str) -> None:
    """No session, no token, no route."""
    assert person.go("hub/home").url.path.endswith("/hub/login")
    assert person.go(f"user/{name}/").url.path.endswith("/hub/login")
    assert person.fetch("GET", f"hub/api/users/{name}").status_code == 403
    assert whoami(host, token).status_code == 403
    assert number_of_tokens(host, name) == 0
    assert f"/user/{name}" not in routes(host)


def assert_is_in(host: Host, person: Browserless, server: Process, token: str) -> None:
    """Session, token and server are as they were."""
    assert person.go("hub/home").url.path.endswith("/hub/home")
    assert whoami(host, token).json()["name"] == server.environment["USER"]
    assert is_alive(host, server)
