"""Applications: each at its place, and programs started once and ended whole, as real children."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import ACCESS, PREFIX, Browser, FakeHub, FakeUpstream

from unixspawner_singleuser.account import Account
from unixspawner_singleuser.catalogue import Application, Catalogue, Command, Upstream
from unixspawner_singleuser.processes import below_us

PROGRAM = str(Path(__file__).with_name("program.py"))
APPS = f"{PREFIX}apps/"
WORDS = (sys.executable, "-I", PROGRAM, "{socket}")


def on_demand(name: str, *words: str, **changes: Any) -> Application:
    command = replace(Command(words or WORDS, shell="none"), **changes)
    return Application(name, name.title(), "", False, Upstream(), command=command)


async def facts(browser: Browser, path: str) -> dict[str, Any]:
    response = await browser.get(path)
    text = await response.text()
    assert response.status == 200, text
    found: dict[str, Any] = json.loads(text)
    return found


def is_alive(pid: int) -> bool:
    """Whether something runs under that number; a zombie counts."""
    return os.path.exists(f"/proc/{pid}")


async def until(what: Callable[[], bool]) -> None:
    """For what nobody can be asked to announce: the end of a process."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


def is_starting(running: Running, name: str) -> bool:
    runner = running.application.gateway._on_demand.known(name)
    return runner is not None and runner.state == "starting"


def zombies() -> list[str]:
    """Of this process: what has ended and was not taken leave of."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{name}/stat").read_text()
        except OSError:
            continue
        state, parent = line.rpartition(")")[2].split()[:2]
        if state == "Z" and int(parent) == os.getpid():
            found.append(line)
    return found


@pytest.fixture
def applications(directory: Path) -> Catalogue:
    shared = Upstream(socket_path=str(directory / "app.sock"))
    return Catalogue(
        (
            on_demand("one"),
            on_demand("two", directory="~/work", shell="interactive"),
            Application("shared", "Shared", "", False, shared),
            Application("kept", "Kept", "", False, shared, keep_prefix=True),
            Application("staff", "Staff", "", False, shared, groups=("no-such-group",)),
            on_demand("gone", "no-such-program", "{socket}"),
            on_demand("early", "/bin/sh", "-c", "echo last words; exit 3", "{socket}"),
            on_demand("killed", "/bin/sh", "-c", "kill -9 $$", "{socket}"),
            on_demand("mute", "/bin/sh", "-c", "sleep 100", "{socket}", start_timeout=3.0),
            on_demand("brief", idle_timeout=0.2),
        )
    )


class TestAddresses:
    async def test_each_application_has_a_place_of_its_own(
        self, alice: Browser, upstream: FakeUpstream
    ) -> None:
        answer = await (await alice.get(f"{APPS}shared/a%2Fb/?x=1")).json()
        assert answer["target"] == "/a%2Fb/?x=1"
        assert ["X-Forwarded-Prefix", f"{APPS}shared"] in answer["headers"] or [
            "x-forwarded-prefix",
            f"{APPS}shared",
        ] in answer["headers"]
        kept = await (await alice.get(f"{APPS}kept/a%2Fb/?x=1")).json()
        assert kept["target"] == f"{APPS}kept/a%2Fb/?x=1"
        cookies = (await alice.get(f"{APPS}shared/cookies")).headers.getall("Set-Cookie")
        assert f"a=1; Path={APPS}shared/" in cookies

    async def test_redirects_stay_below_the_application(self, alice: Browser) -> None:
        for leads, to in (("/x", f"{APPS}one/x"), (f"{APPS}one/y", f"{APPS}one/y")):
            response = await alice.get(f"{APPS}one/?redirect={quote(leads)}")
            assert response.headers["Location"] == to
            assert response.headers["Set-Cookie"] == f"a=1; Path={APPS}one/"

    async def test_a_name_without_a_slash_leads_to_the_one_with_it(self, alice: Browser) -> None:
        for path, to in (
            (f"{PREFIX}apps", APPS),
            (f"{APPS}one", f"{APPS}one/"),
            (f"{APPS}one?a=b", f"{APPS}one/?a=b"),
        ):
            response = await alice.get(path)
            assert (response.status, response.headers["Location"]) == (302, to)

    async def test_the_home_page_is_at_the_prefix_and_below_apps(self, alice: Browser) -> None:
        for path in (PREFIX, APPS):
            page = await (await alice.get(path)).text()
            assert f'href="{APPS}one/"' in page
            assert f'href="{APPS}shared/"' in page
            assert "staff" not in page.lower()

    @pytest.mark.parametrize("path", ["", "/", "/x", "?x=1"])
    async def test_what_one_may_not_see_does_not_exist(
        self, alice: Browser, upstream: FakeUpstream, path: str
    ) -> None:
        hidden = await alice.get(f"{APPS}staff{path}")
        unknown = await alice.get(f"{APPS}nobody{path}")
        assert hidden.status == unknown.status == 404
        assert await hidden.read() == await unknown.read()
        assert set(hidden.headers) == set(unknown.headers)
        assert upstream.seen == []

    async def test_what_one_may_not_see_has_no_log_icon_or_restart(self, alice: Browser) -> None:
        xsrf = {"X_XSRFToken": alice.cookies["_xsrf"]}
        for verb in ("log", "icon"):
            assert (await alice.get(f"{APPS}-/staff/{verb}")).status == 404
        for verb in ("restart", "stop"):
            response = await alice.request("POST", f"{APPS}-/staff/{verb}", **xsrf)
            assert response.status == 404

    async def test_a_websocket_to_nowhere_is_refused(self, alice: Browser) -> None:
        for path in ("nobody/", "staff/", "one", "", "-/one/log", "-/log"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await alice.open(APPS + path)
            assert refused.value.status == 404


class TestRoot:
    @pytest.fixture
    def applications(self, directory: Path) -> Catalogue:
        shared = Upstream(socket_path=str(directory / "app.sock"))
        return Catalogue(
            (replace(on_demand("lab"), root=True), Application("b", "B", "", False, shared))
        )

    async def test_a_root_application_is_reached_at_the_prefix_only(self, alice: Browser) -> None:
        told = await facts(alice, f"{PREFIX}api/x?y")
        assert told["target"] == "/api/x?y"
        assert f"x-forwarded-prefix: {PREFIX[:-1]}\r\n" in told["head"]
        for path in ("lab", "lab/", "lab/x"):
            response = await alice.get(APPS + path)
            assert (response.status, response.headers["Location"]) == (302, PREFIX)
        assert (await alice.request("PUT", f"{APPS}lab/x", Sec_Fetch_Mode="")).status in {403, 404}
        assert f'href="{PREFIX}"' in await (await alice.get(APPS)).text()
        assert (await (await alice.get(f"{APPS}b/")).json())["target"] == "/"


class TestStart:
    async def test_it_starts_once_however_many_ask_at_the_same_time(self, alice: Browser) -> None:
        told = await asyncio.gather(*(facts(alice, f"{APPS}one/{n}") for n in range(50)))
        assert len({each["pid"] for each in told}) == 1
        assert sorted(each["target"] for each in told) == sorted(f"/{n}" for n in range(50))

    async def test_it_is_the_persons_own_and_clean(
        self, alice: Browser, home: Path, account: Account, directory: Path
    ) -> None:
        told = await facts(alice, f"{APPS}two/")
        assert told["directory"] == f"{home}/work"
        assert told["session"] == told["pid"]
        # Python's own two, and two of the C library's that no program can have otherwise.
        ignored = {signal.SIGPIPE, signal.SIGXFSZ, 32, 33}
        assert int(told["signals"]["SigIgn"], 16) == sum(1 << (each - 1) for each in ignored)
        assert int(told["signals"]["SigBlk"], 16) == 0
        log = f"{home}/.local/state/unixspawner/application.two.log"
        assert told["descriptors"] == ["0 /dev/null", f"1 {log}", f"2 {log}"]
        (socket,) = told["arguments"]
        folder = Path(socket).parent
        assert folder.parent == directory
        assert folder.stat().st_mode & 0o7777 == 0o700
        environment = told["environment"]
        assert environment["PWD"] == told["directory"]
        assert environment["HOME"] == str(home)
        assert environment["JUPYTERHUB_USER"] == "alice"
        assert environment["JUPYTERHUB_SERVICE_PREFIX"] == PREFIX
        assert environment["UNIXSPAWNER_SERVER_ID"] == "id-of-this-server"
        assert environment["UNIXSPAWNER_APPLICATION"].startswith("two:")
        assert "TERM" not in environment

    async def test_it_gives_way_to_the_gateway_when_memory_runs_out(self, alice: Browser) -> None:
        pid = (await facts(alice, f"{APPS}two/"))["pid"]
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "200\n"
        assert int(Path("/proc/self/oom_score_adj").read_text()) < 200

    async def test_no_secret_is_in_its_environment_or_its_words(self, alice: Browser) -> None:
        pid = (await facts(alice, f"{APPS}one/"))["pid"]
        for name in ("environ", "cmdline"):
            text = Path(f"/proc/{pid}/{name}").read_bytes()
            assert b"secret-of-this-server" not in text
            assert b"TOKEN" not in text
        variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
        names = {pair.partition("=")[0] for pair in variables if pair.startswith("JUPYTERHUB_")}
        assert names == {"JUPYTERHUB_BASE_URL", "JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_USER"}

    async def test_two_applications_know_nothing_of_each_other(self, alice: Browser) -> None:
        one, two = await asyncio.gather(facts(alice, f"{APPS}one/"), facts(alice, f"{APPS}two/"))
        assert one["pid"] != two["pid"]
        assert one["arguments"] != two["arguments"]


SENTENCES = [
    ("gone", "The program no-such-program was not found in your PATH (/"),
    ("early", "Early ended with exit status 3 before it answered."),
    ("killed", "Killed was ended by SIGKILL before it answered."),
    ("mute", "Mute runs, but did not answer on its socket within 3 seconds."),
]


class TestFailure:
    @pytest.mark.parametrize(("name", "sentence"), SENTENCES)
    async def test_who_asks_is_told_in_a_sentence(
        self, alice: Browser, name: str, sentence: str
    ) -> None:
        api = await alice.get(
            f"{APPS}{name}/", Sec_Fetch_Mode="cors", X_XSRFToken=alice.cookies["_xsrf"]
        )
        assert api.status == 503
        assert (await api.json())["message"].startswith(sentence)
        page = await alice.get(f"{APPS}{name}/")
        text = await page.text()
        assert page.status == 503
        assert sentence in text
        assert f'action="{APPS}-/{name}/restart?_xsrf=' in text
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await alice.open(f"{APPS}{name}/")
        assert refused.value.status == 503
        # The others live on.
        assert (await facts(alice, f"{APPS}one/"))["target"] == "/"

    async def test_the_page_has_the_end_of_the_log(self, alice: Browser) -> None:
        page = await (await alice.get(f"{APPS}early/")).text()
        assert "last words\n" in page
        assert "job control" not in page

    async def test_a_failure_is_not_repeated_by_every_request(
        self, alice: Browser, home: Path
    ) -> None:
        for _ in range(3):
            assert (await alice.get(f"{APPS}early/")).status == 503
        folder = home / ".local/state/unixspawner"
        assert not (folder / "application.early.log.1").exists()
        assert (await press(alice, "early", "restart")).headers["Location"] == f"{APPS}early/"
        assert (await alice.get(f"{APPS}early/")).status == 503
        assert (folder / "application.early.log.1").exists()

    async def test_what_ends_again_and_again_is_not_started_for_ever(self, alice: Browser) -> None:
        pids = set()
        for _ in range(3):
            pids.add((await facts(alice, f"{APPS}one/"))["pid"])
            assert (await alice.request("POST", f"{APPS}one/?exit=4&{xsrf(alice)}")).status == 502
            await until(lambda: not is_alive(max(pids)))
        assert len(pids) == 3
        page = await alice.get(f"{APPS}one/")
        assert page.status == 503
        sentence = "One ended 3 times soon after it had started; the last time it ended with"
        assert f"{sentence} exit status 4." in await page.text()
        await press(alice, "one", "restart")
        assert (await facts(alice, f"{APPS}one/"))["pid"] not in pids


def xsrf(browser: Browser) -> str:
    return f"_xsrf={browser.cookies['_xsrf']}"


async def press(browser: Browser, name: str, verb: str) -> aiohttp.ClientResponse:
    """Send the form of a page."""
    response = await browser.request("POST", f"{APPS}-/{name}/{verb}?{xsrf(browser)}")
    assert response.status == 302, await response.text()
    return response


class TestEnd:
    async def test_one_that_has_ended_is_started_by_the_next_request(self, alice: Browser) -> None:
        before = (await facts(alice, f"{APPS}one/"))["pid"]
        os.kill(before, signal.SIGKILL)
        after = (await facts(alice, f"{APPS}one/"))["pid"]
        assert after != before
        await until(lambda: not is_alive(before))

    async def test_a_restart_ends_the_whole_tree_and_starts_anew(self, alice: Browser) -> None:
        before = (await facts(alice, f"{APPS}one/"))["pid"]
        daemon = await (await alice.get(f"{APPS}one/?daemon=marked")).json()
        other = (await facts(alice, f"{APPS}two/"))["pid"]
        assert is_alive(daemon)
        response = await press(alice, "one", "restart")
        assert response.headers["Location"] == f"{APPS}one/"
        assert not is_alive(before)
        await until(lambda: not is_alive(daemon))
        assert (await facts(alice, f"{APPS}one/"))["pid"] != before
        assert (await facts(alice, f"{APPS}two/"))["pid"] == other

    async def test_a_stop_ends_it_and_the_next_request_starts_it(self, alice: Browser) -> None:
        before = (await facts(alice, f"{APPS}one/"))["pid"]
        assert (await press(alice, "one", "stop")).headers["Location"] == APPS
        assert not is_alive(before)
        assert (await facts(alice, f"{APPS}one/"))["pid"] != before

    async def test_what_loses_its_parents_is_not_left_as_a_zombie(self, alice: Browser) -> None:
        await (await alice.get(f"{APPS}one/?children=5")).json()
        pid = (await facts(alice, f"{APPS}one/"))["pid"]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_alive(pid))
        await until(lambda: zombies() == [])

    async def test_everything_ends_with_the_server(
        self, alice: Browser, running: Running, directory: Path
    ) -> None:
        pids = [(await facts(alice, f"{APPS}{name}/"))["pid"] for name in ("one", "two")]
        for kind in ("marked", "forgetful", "stubborn"):
            pids.append(await (await alice.get(f"{APPS}one/?daemon={kind}")).json())
        assert all(is_alive(pid) for pid in pids)
        assert await running.stop() < 9
        assert [pid for pid in pids if is_alive(pid)] == []
        assert zombies() == []
        assert list(directory.glob("unixspawner-applications-*")) == []

    async def test_so_does_what_it_adopted_before_there_was_any_application(
        self, running: Running
    ) -> None:
        """Something in the place of the server's program has started it, and then became us."""
        running.application.gateway.adopt_orphans()
        before = set(below_us())
        with subprocess.Popen(["env", "-i", "setsid", "-f", "sleep", "100"]) as parent:
            assert parent.wait() == 0
        await until(lambda: len(below_us().keys() - before) == 1)
        (orphan,) = below_us().keys() - before
        await running.stop()
        assert not is_alive(orphan)

    async def test_a_server_ends_while_an_application_starts(
        self, alice: Browser, running: Running
    ) -> None:
        waiting = asyncio.create_task(alice.get(f"{APPS}mute/"))
        await until(lambda: is_starting(running, "mute"))
        await running.stop()
        with contextlib.suppress(aiohttp.ClientError):
            assert (await waiting).status == 503
        assert zombies() == []

    async def test_one_that_nobody_uses_is_ended(self, alice: Browser) -> None:
        pid = (await facts(alice, f"{APPS}brief/"))["pid"]
        await until(lambda: not is_alive(pid))
        assert (await facts(alice, f"{APPS}brief/"))["pid"] != pid

    async def test_one_with_something_open_is_in_use(self, alice: Browser) -> None:
        pid = (await facts(alice, f"{APPS}brief/"))["pid"]
        waiting = asyncio.create_task(alice.get(f"{APPS}brief/?wait=1"))
        # Longer than its timeout, which has begun with the first answer.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.6)
        assert is_alive(pid)
        waiting.cancel()
        await asyncio.wait([waiting])
        await until(lambda: not is_alive(pid))

    async def test_one_with_an_open_websocket_is_in_use(self, alice: Browser) -> None:
        socket = await alice.open(f"{APPS}brief/")
        pid = (await facts(alice, f"{APPS}brief/"))["pid"]
        # Longer than its timeout; nothing passes meanwhile.
        with pytest.raises(TimeoutError):
            await socket.receive(0.6)
        assert is_alive(pid)
        await socket.close()
        await until(lambda: not is_alive(pid))


class TestControl:
    async def test_a_form_of_another_site_changes_nothing(self, alice: Browser) -> None:
        pid = (await facts(alice, f"{APPS}one/"))["pid"]
        for verb in ("restart", "stop"):
            for query in ("", "?_xsrf=", "?_xsrf=x"):
                response = await alice.request("POST", f"{APPS}-/one/{verb}{query}")
                assert response.status == 403
            assert (await alice.get(f"{APPS}-/one/{verb}?{xsrf(alice)}")).status == 404
        assert (await facts(alice, f"{APPS}one/"))["pid"] == pid

    async def test_nobody_controls_what_is_shared(self, alice: Browser) -> None:
        assert (await alice.get(f"{APPS}-/shared/log")).status == 404
        for verb in ("restart", "stop"):
            response = await alice.request("POST", f"{APPS}-/shared/{verb}?{xsrf(alice)}")
            assert response.status == 404

    async def test_the_log_is_a_page(self, alice: Browser) -> None:
        page = await (await alice.get(f"{APPS}-/one/log")).text()
        assert "It does not run. It starts when somebody opens it." in page
        assert "Nothing has been written into the log." in page
        await facts(alice, f"{APPS}one/")
        page = await (await alice.get(f"{APPS}-/one/log")).text()
        assert "It runs." in page
        assert "It writes &lt;b&gt;into&lt;/b&gt; its log.\n" in page
        assert "job control" not in page
        assert f'action="{APPS}-/one/stop?_xsrf={alice.cookies["_xsrf"]}"' in page

    async def test_an_end_that_nobody_wanted_is_told_until_the_next_start(
        self, alice: Browser
    ) -> None:
        pid = (await facts(alice, f"{APPS}one/"))["pid"]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_alive(pid))
        assert "One was ended by SIGKILL." in await (await alice.get(f"{APPS}-/one/log")).text()
        await facts(alice, f"{APPS}one/")
        assert "SIGKILL" not in await (await alice.get(f"{APPS}-/one/log")).text()

    async def test_the_servers_own_log_is_a_page(self, alice: Browser) -> None:
        response = await alice.get(f"{APPS}-/log")
        assert response.status == 200
        assert "Log of your server" in await response.text()

    async def test_a_stranger_sees_no_log(self, browser: Browser, hub: FakeHub) -> None:
        for path in ("-/log", "-/one/log"):
            assert (await browser.get(APPS + path)).status == 302
            assert (await browser.get(APPS + path, Sec_Fetch_Mode="cors")).status == 403
        await browser.sign_in(hub.admit("mallory", "access:nothing"))
        assert (await browser.get(f"{APPS}-/log")).status == 403

    async def test_a_visitor_may_restart_too(self, browser: Browser, hub: FakeHub) -> None:
        await browser.sign_in(hub.admit("bob", ACCESS))
        pid = (await facts(browser, f"{APPS}one/"))["pid"]
        await press(browser, "one", "restart")
        assert not is_alive(pid)
