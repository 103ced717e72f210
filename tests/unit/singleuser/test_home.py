"""Our own home page: what it tells of applications and machine, and what hostile names do to it."""

from __future__ import annotations

import os
import platform
import pwd
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import ACCESS, PREFIX, Browser, FakeHub, settings

from unixspawner_singleuser.account import Account
from unixspawner_singleuser.catalogue import Catalogue
from unixspawner_singleuser.filesystem import Space
from unixspawner_singleuser.home import Home, announced_limits, content, duration
from unixspawner_singleuser.limits import Limit
from unixspawner_singleuser.markup import join
from unixspawner_singleuser.menu import Tile
from unixspawner_singleuser.on_demand import State
from unixspawner_singleuser.tiles import tile_list

HOSTILE = """<script>alert(1)</script>"'&"""
GIB = 1024**3
TILE = Tile(
    name="notes",
    title="Notes",
    description="In one place",
    url="/user/alice/apps/notes/",
    icon_url="",
    state="running",
    log_url="/user/alice/apps/-/notes/log",
    restart_url="/user/alice/apps/-/notes/restart",
    stop_url="/user/alice/apps/-/notes/stop",
    outdated=False,
)


class TestHome:
    @pytest.fixture
    def applications(self, directory: Path) -> Catalogue:
        return Catalogue()

    async def test_it_says_who_and_where_i_am(self, alice: Browser) -> None:
        response = await alice.get(PREFIX)
        page = await response.text()
        assert response.status == 200
        assert pwd.getpwuid(os.getuid()).pw_name in page
        assert platform.node() in page
        assert 'id="jupyterhub-control-panel-link" href="/@/my%20lab/hub/home"' in page
        assert f'href="{PREFIX}logout"' in page
        assert "nothing on this address is protected" not in page
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy

    async def test_everything_else_is_not_found(self, alice: Browser) -> None:
        for path in ("x", "api/contents", "<script>"):
            response = await alice.get(PREFIX + path)
            assert response.status == 404
            assert "<script" not in await response.text()

    async def test_a_visitor_sees_who_is_visiting_whom(
        self, browser: Browser, hub: FakeHub
    ) -> None:
        await browser.sign_in(hub.admit("<b>bob", ACCESS))
        assert "&lt;b&gt;bob" in await (await browser.get(PREFIX)).text()


@pytest.mark.parametrize("name", ["x" * 1_000_000, "a\nb\x1b[31m"])
async def test_a_hostile_name_is_one_short_line_in_the_log(
    browser: Browser, hub: FakeHub, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level("INFO", "unixspawner_singleuser")
    await browser.sign_in(hub.admit(name, "access:nothing"))
    response = await browser.get(PREFIX)
    assert response.status == 403
    await response.read()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    for message in messages:
        assert len(message) < 200
        assert message.isprintable()


# Tiles


@pytest.mark.parametrize(
    ("state", "words", "controls"),
    [
        ("running", "running as you", ["Log", "Restart", "Stop"]),
        ("starting", "starting", ["Log", "Restart", "Stop"]),
        ("stopped", "not running, starts when you open it", ["Log"]),
        ("failed", "failed, its log says why", ["Log", "Restart"]),
    ],
)
def test_a_tile_says_its_state_and_offers_what_makes_sense(
    state: State, words: str, controls: list[str]
) -> None:
    tile = tile_list([replace(TILE, state=state)], "token")
    assert f'<p class="state state-{state}">{words}</p>' in tile
    assert re.findall(r">(\w+)<span class=\"visually-hidden\"> Notes<", tile) == controls


def test_a_shared_application_is_not_this_persons_to_control() -> None:
    shared = replace(TILE, state="shared", log_url="", restart_url="", stop_url="")
    tile = tile_list([shared], "token")
    assert "shared by everybody" in tile
    assert "<form" not in tile
    assert tile.count("href=") == 1


def test_every_form_carries_the_token() -> None:
    forms = re.findall(r"<form [^>]*>", tile_list([TILE], "a token&more"))
    assert forms == [
        f'<form method="post" action="/user/alice/apps/-/notes/{verb}?_xsrf=a%20token%26more">'
        for verb in ("restart", "stop")
    ]


def test_a_tile_with_hostile_texts_is_a_tile() -> None:
    hostile = replace(TILE, title=HOSTILE, description=HOSTILE, icon_url=HOSTILE, outdated=True)
    tile = tile_list([hostile], HOSTILE)
    assert "<script" not in tile
    assert "Its settings have changed" in tile
    assert re.findall(r"<img [^>]*>", tile) == [
        '<img class="icon" src="&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" alt=""'
        ' width="44" height="44">'
    ]


# What the page tells


def home(**changes: object) -> Home:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    usual = Home(
        account=Account("alice", 1001, "/home/alice", ("alice", "lab")),
        visitor="",
        server_name="",
        began=now - timedelta(hours=2, minutes=5),
        now=now,
        tiles=(),
        space=Space(used=60 * GIB, free=30 * GIB),
        limits=(Limit("Memory", "16 GiB"),),
        announced=(),
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def told(told_home: Home) -> str:
    return join(*content(told_home, "/log", "token"))


def test_the_home_directory_is_told_with_its_space() -> None:
    page = told(home())
    assert "30 GiB free of 90 GiB, 67 % used" in page
    assert 'aria-valuenow="67"' in page
    assert "nearly-full" not in page
    assert "is full" not in page


def test_a_full_file_system_is_told() -> None:
    page = told(home(space=Space(used=GIB, free=0)))
    assert "Its file system is full: programs will fail until something is deleted." in page
    assert 'class="gauge nearly-full"' in page


def test_limits_are_told_and_told_apart_from_announcements() -> None:
    page = told(home(announced=(Limit("Processors, as announced", "2"),)))
    assert "<dt>Memory</dt><dd>16 GiB</dd>" in page
    assert "<dt>Processors, as announced</dt><dd>2</dd>" in page
    assert "None but those of the machine itself." in told(home(limits=()))


def test_what_the_kernel_has_ended_is_told() -> None:
    reason = "the 2 GiB of memory that you may use were used up"
    assert 'id="memory"' not in told(home(memory_reason=reason))
    one = told(home(memory_ends=1, memory_reason=reason))
    assert f"One of your processes was ended since this server began, because {reason}." in one
    assert "3 of your processes were ended" in told(home(memory_ends=3, memory_reason=reason))


def test_a_named_server_says_its_name_and_since_when_it_runs() -> None:
    page = told(home(server_name="work"))
    assert "<dt>Server</dt><dd>work</dd>" in page
    assert "November 2026" in page
    assert "(2 h 5 min)" in page


def test_nothing_that_is_told_becomes_markup() -> None:
    page = told(
        home(
            account=Account(HOSTILE, 1, HOSTILE, (HOSTILE,)),
            visitor=HOSTILE,
            server_name=HOSTILE,
            space=HOSTILE,
            limits=(Limit(HOSTILE, HOSTILE),),
            announced=(Limit(HOSTILE, HOSTILE),),
        )
    )
    assert "<script" not in page


@pytest.mark.parametrize(
    ("passed", "shown"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(hours=23, minutes=1), "23 h 1 min"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
    ],
)
def test_times_are_as_exact_as_anybody_wants_to_know(passed: timedelta, shown: str) -> None:
    assert duration(passed) == shown


@pytest.mark.parametrize(
    ("memory", "cpus", "shown"),
    [
        ("", "", []),
        (str(4 * GIB), "1.5", [("Memory", "4 GiB"), ("Processors", "1.5")]),
        ("plenty", "", [("Memory", "plenty")]),
    ],
)
def test_what_the_hub_announces_is_called_that(
    directory: Path, memory: str, cpus: str, shown: list[tuple[str, str]]
) -> None:
    announced = announced_limits(settings(directory, MEM_LIMIT=memory, CPU_LIMIT=cpus))
    assert announced == [Limit(f"{name}, as announced", amount) for name, amount in shown]


class TestAway:
    """The home directory is on a file server that is away."""

    @pytest.fixture
    def applications(self, directory: Path) -> Catalogue:
        return Catalogue()

    @pytest.fixture
    def _away(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        back = threading.Event()

        def hang(path: str) -> os.statvfs_result:
            back.wait()
            return os.fstatvfs(0)

        monkeypatch.setattr(os, "statvfs", hang)
        yield
        back.set()

    @pytest.mark.usefixtures("_away")
    async def test_the_page_comes_and_says_so(self, alice: Browser) -> None:
        page = await (await alice.get(PREFIX)).text()
        assert "Its file system does not answer." in page
        assert "Open files, each process" in page
