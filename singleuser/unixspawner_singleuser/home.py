"""The home page of a person's server: its applications, and what the person is and has here.

Run as the person signed in. What is asked of the machine is asked while the page is made, so that
a page always tells how things are; nothing that hangs keeps it from coming.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .account import Account, OwnAccount
from .filesystem import FileSystem, Space
from .frames import frame_of
from .limits import Limit, current_limits, size
from .markup import Child, Html, element, join
from .memory import MemoryEnds
from .menu import Menu, Tile
from .pages import document, fact_list
from .patience import in_thread
from .settings import Settings
from .tiles import tile_list

NEARLY_FULL = 90  # percent


@dataclass(frozen=True, slots=True)
class Home:
    """Everything that the page tells. Pure data, gathered in `HomePage`."""

    account: Account
    visitor: str  # empty when the account's own person looks
    server_name: str
    began: datetime
    now: datetime
    tiles: Sequence[Tile]
    space: Space | str  # or why it is not known
    limits: Sequence[Limit]
    announced: Sequence[Limit]
    trouble: str = ""  # what was wrong with the account when the server started
    memory_ends: int = 0  # processes that the kernel has ended since then for want of memory
    memory_reason: str = ""


class HomePage:
    def __init__(
        self, settings: Settings, account: OwnAccount, menu: Menu, filesystem: FileSystem
    ) -> None:
        self._settings = settings
        self._account = account
        self._menu = menu
        self._filesystem = filesystem
        self._began = datetime.now(UTC)
        self._memory = MemoryEnds()

    async def render(self, visitor: str, token: str) -> bytes:
        """For somebody with this label, whose session has this _xsrf token."""
        home = await self._home(visitor)
        parts = content(home, f"{self._settings.prefix}apps/-/log", token)
        return document(title(home), *parts, frame=frame_of(self._settings))

    async def _home(self, visitor: str) -> Home:
        settings = self._settings
        account = await self._account.get()
        return Home(
            account=account,
            visitor="" if visitor == settings.user else visitor,
            server_name=settings.server_name,
            began=self._began,
            now=datetime.now(UTC),
            tiles=await self._menu.tiles(),
            space=await self._space(account.home),
            limits=await in_thread(current_limits),
            announced=announced_limits(settings),
            trouble=settings.trouble,
            memory_ends=self._memory.count,
            memory_reason=self._memory.reason,
        )

    async def _space(self, path: str) -> Space | str:
        try:
            return await self._filesystem.space(path)
        except TimeoutError:
            return "Its file system does not answer."
        except OSError as error:
            return f"Its file system cannot be asked ({error.strerror})."


def announced_limits(settings: Settings) -> list[Limit]:
    """What the hub was told to tell; whether anything holds to it is not known here."""
    memory = settings.memory_limit
    told = (
        ("Memory", size(int(memory)) if memory.isdecimal() else memory),
        ("Processors", settings.cpu_limit),
    )
    return [Limit(f"{name}, as announced", amount) for name, amount in told if amount]


def duration(passed: timedelta) -> str:
    """In two units at most: that is how exactly anybody wants to know."""
    minutes = int(passed.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else "less than a minute"


def title(home: Home) -> str:
    return f"{home.account.name} on {platform.node()}"


def content(home: Home, log_url: str, token: str) -> list[Html | None]:
    return [
        element("h1", title(home)),
        _trouble(home),
        _memory_ran_out(home),
        _visiting(home),
        _applications(home, token),
        element(
            "div",
            _section("account", "Account", fact_list(_account(home.account))),
            _section("directory", "Home directory", *_directory(home)),
            _section("limits", "Limits", *_limits(home)),
            _section("server", "This server", *_server(home, log_url)),
            class_="columns",
        ),
    ]


def _trouble(home: Home) -> Html | None:
    if not home.trouble:
        return None
    return element("p", home.trouble, class_="alert alert-danger", role="status", id="trouble")


def _memory_ran_out(home: Home) -> Html | None:
    """What ends without having been asked to, and without a word of its own."""
    if not home.memory_ends:
        return None
    many = f"{home.memory_ends} of your processes were"
    ended = "One of your processes was" if home.memory_ends == 1 else many
    says = f"{ended} ended since this server began, because {home.memory_reason}."
    return element("p", says, class_="alert alert-warning", role="status", id="memory")


def _visiting(home: Home) -> Html | None:
    if not home.visitor:
        return None
    name = element("strong", home.visitor)
    owner = home.account.name
    says = join("Visiting as ", name, f": whatever you do here happens as {owner}.")
    return element("p", says, class_="alert alert-warning", id="visiting")


def _applications(home: Home, token: str) -> Html:
    if home.tiles:
        body = tile_list(home.tiles, token)
    else:
        body = element("p", "No application has been set up on this machine yet.", class_="soft")
    heading = element("h2", "Applications", id="applications")
    return element("section", heading, body, aria_labelledby="applications")


def _section(name: str, heading: str, *body: Child) -> Html:
    label = element("h2", heading, id=name)
    return element("section", label, *body, class_="card", aria_labelledby=name)


def _account(account: Account) -> list[tuple[str, str]]:
    return [
        ("Name", account.name),
        ("User id", str(account.uid)),
        ("Groups", ", ".join(account.groups)),
    ]


def _directory(home: Home) -> list[Html]:
    where = element("p", element("code", home.account.home))
    if isinstance(home.space, str):
        return [where, element("p", home.space, class_="alert alert-warning", role="status")]
    return [where, *_space(home.space)]


def _space(space: Space) -> list[Html]:
    says = f"{size(space.free)} free of {size(space.total)}, {space.percent} % used"
    parts = [_gauge(space.percent), element("p", says, class_="small")]
    if space.free == 0:
        full = "Its file system is full: programs will fail until something is deleted."
        parts.append(element("p", full, class_="alert alert-danger", role="status"))
    return parts


def _gauge(percent: int) -> Html:
    """A drawing, since browsers agree on no style for <meter>."""
    return element(
        "svg",
        element("rect", width=str(percent), height="1"),
        class_="gauge nearly-full" if percent > NEARLY_FULL else "gauge",
        viewBox="0 0 100 1",
        preserveAspectRatio="none",
        role="meter",
        aria_label="How full its file system is",
        aria_valuemin="0",
        aria_valuemax="100",
        aria_valuenow=str(percent),
        aria_valuetext=f"{percent} %",
    )


def _limits(home: Home) -> list[Html]:
    rows = [(limit.name, limit.amount) for limit in (*home.limits, *home.announced)]
    if not rows:
        return [element("p", "None but those of the machine itself.", class_="soft")]
    return [fact_list(rows)]


def _server(home: Home, log_url: str) -> list[Html]:
    facts = [("Computer", platform.node())]
    if home.server_name:
        facts.append(("Server", home.server_name))
    began = home.began.astimezone()
    since = element("time", f"{began:%d %B %Y, %H:%M}", datetime=began.isoformat("T", "seconds"))
    facts.append(("Running since", join(since, f" ({duration(home.now - home.began)})")))
    log = element("a", "Log of this server", class_="btn btn-sm", href=log_url)
    return [fact_list(facts), element("div", log, class_="links")]
