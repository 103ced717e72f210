"""The service and the people of the system and browser tests: real ones, gone when all is over.

Run by pytest as root, which loads this as a plug-in, so that both folders share one service. After
every test, whatever it did, the servers of the tests' people are stopped and the machine is
compared with what it was: nothing may be left behind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
from tests.system import command, machines, service
from tests.system.accounts import NAMES, Accounts, create, end_processes, remove
from tests.system.applications import Shelf, shelf
from tests.system.browserless import Browserless
from tests.system.command import StartProcess
from tests.system.host import Host, wait_for
from tests.system.leftovers import Leftovers, clear_away
from tests.system.logs import HubLog, SudoLog, sudo_log
from tests.system.puppet import Puppet, puppet_as_root_application

OpenBrowser = Callable[[], Browserless]


@pytest.fixture(scope="session")
def host(pytestconfig: pytest.Config) -> Iterator[Host]:
    """The machine under test, with the service of this clone on it."""
    with (
        machines.opened(pytestconfig.stash[machines.CHOSEN]) as machine,
        service.installed(machine) as url,
    ):
        machine.url = url
        yield machine


@pytest.fixture(scope="session")
def accounts(host: Host) -> Iterator[Accounts]:
    users = service.options(host).users_group
    admins = service.options(host).admins_group
    groups = {"alice": (users,), "bob": (users,), "carol": (users, admins), "mallory": ()}
    try:
        yield Accounts(**{name: create(host, name, groups[name]) for name in NAMES})
    finally:
        for name in NAMES:
            remove(host, name)


@pytest.fixture(scope="session")
def all_sudo_calls(host: Host) -> Iterator[SudoLog]:
    """Every call of sudo from the hub's account, as sudo itself records it."""
    with sudo_log(host) as log:
        yield log


@pytest.fixture
def sudo_calls(all_sudo_calls: SudoLog) -> SudoLog:
    """The calls of sudo from here on."""
    return all_sudo_calls.from_now()


@pytest.fixture
def hub_log(host: Host) -> HubLog:
    """What the hub logs from here on."""
    return HubLog.from_now(host)


@pytest.fixture
def start_process(host: Host) -> Iterator[StartProcess]:
    """Start processes of people beside or in their servers; they are gone when the test is over."""
    started: list[int] = []

    def start(account: str, program: str, **variables: str) -> int:
        started.append(command.start(host, account, program, **variables))
        return started[-1]

    yield start
    for pid in started:
        host.run("kill", "-KILL", str(pid), check=False)
        wait_for(f"the end of {pid}", functools.partial(command.has_ended, host, pid))


@pytest.fixture
def browser(host: Host) -> Iterator[OpenBrowser]:
    """Open browser profiles; they are closed when the test is over."""
    opened: list[Browserless] = []

    def open_browser() -> Browserless:
        opened.append(Browserless(host.url))
        return opened[-1]

    yield open_browser
    for each in opened:
        each.__exit__()


@pytest.fixture
def alice(accounts: Accounts, browser: OpenBrowser) -> Browserless:
    """alice, with a server."""
    person = browser()
    person.sign_in(accounts.alice)
    return person


@pytest.fixture
def apps(host: Host) -> Iterator[Shelf]:
    """A folder of applications, for as long as the test takes."""
    with shelf(host) as each:
        yield each


@pytest.fixture
def puppet(host: Host, accounts: Accounts) -> Iterator[Puppet]:
    """Servers that are started from here on forward to an application that misbehaves to order."""
    with puppet_as_root_application(host) as application:
        yield application


@pytest.fixture(scope="session")
def administrator(host: Host, accounts: Accounts) -> Iterator[Browserless]:
    """carol, signed in, without a server of her own."""
    with Browserless(host.url) as carol:
        carol.sign_in_only(accounts.carol)
        yield carol
        carol.go("hub/home")
        for account in (accounts.alice, accounts.bob, accounts.mallory):
            carol.fetch("DELETE", f"hub/api/users/{account.name}")


@pytest.fixture
def nothing_left_behind(
    host: Host, accounts: Accounts, administrator: Browserless
) -> Iterator[None]:
    before = Leftovers.of(host, accounts)
    yield
    clear_away(administrator)
    after = Leftovers.of(host, accounts)
    end_processes(host, accounts.numbers)  # one test's leftovers are not the next one's
    assert after.beyond(before) == []
