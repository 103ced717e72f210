"""What counts as use of a server, so that no idle culler ends anybody's work, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import ACCESS, PREFIX, Browser, FakeHub, FakeUpstream
from tests.unit.singleuser.raw import answering, application, connection, head
from tests.unit.singleuser.raw_websocket import Talker

WITHOUT_BODY = b"HTTP/1.1 204 No Content\r\n\r\n"
EVENT = b"data: x\n\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

Used = Callable[[], bool]


@pytest.fixture
def used(running: Running) -> Used:
    """Whether the server has been used since this was asked last."""
    activity = running.application.activity
    activity._last = 0

    def since() -> bool:
        last, activity._last = activity._last, 0
        return last > 0

    return since


class TestUse:
    async def test_a_request_that_moves_no_body(
        self, alice: Browser, directory: Path, used: Used
    ) -> None:
        async with application(directory, answering(WITHOUT_BODY)):
            assert (await alice.get(PREFIX + "x")).status == 204
        assert used()

    async def test_a_page_of_our_own(self, alice: Browser, used: Used) -> None:
        assert (await alice.get(f"{PREFIX}apps/")).status == 200
        assert used()

    @pytest.mark.parametrize("begin", [EVENTS, SIZED], ids=["events", "download"])
    async def test_each_piece_of_an_answer(
        self, alice: Browser, directory: Path, used: Used, begin: bytes
    ) -> None:
        app = Talker()
        async with application(directory, app), connection(directory) as (reader, writer):
            writer.write(head(alice))
            await app.ready.wait()
            app.writer.write(begin)
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert used()
            for _ in range(2):
                app.writer.write(EVENT)
                await asyncio.wait_for(reader.readuntil(EVENT), 5)
                assert used()
            assert not used()

    @pytest.mark.parametrize(
        ("framing", "piece"),
        [("Content-Length: 1000", EVENT), ("Transfer-Encoding: chunked", b"9\r\n%b\r\n" % EVENT)],
    )
    async def test_each_piece_of_an_upload(
        self, alice: Browser, directory: Path, used: Used, framing: str, piece: bytes
    ) -> None:
        app = Talker()
        async with application(directory, app), connection(directory) as (_, writer):
            writer.write(head(alice, "PUT", "x", framing))
            await app.ready.wait()
            await asyncio.wait_for(app.reader.readuntil(b"\r\n\r\n"), 5)
            assert used()
            for _ in range(2):
                writer.write(piece)
                await asyncio.wait_for(app.reader.readuntil(EVENT), 5)
                assert used()
            assert not used()


class TestNoUse:
    async def test_a_health_check(self, browser: Browser, used: Used) -> None:
        assert (await browser.get(PREFIX + "api")).status == 200
        assert not used()

    @pytest.mark.parametrize(("mode", "status"), [("navigate", 302), ("cors", 403)])
    async def test_a_stranger(
        self, browser: Browser, used: Used, upstream: FakeUpstream, mode: str, status: int
    ) -> None:
        for method in ("GET", "PUT"):
            data = EVENT if method == "PUT" else None
            response = await browser.request(method, PREFIX + "x", data=data, Sec_Fetch_Mode=mode)
            assert response.status == (status if method == "GET" else 403)
        assert not used()
        assert upstream.seen == []

    async def test_somebody_who_may_not_be_here(
        self, browser: Browser, hub: FakeHub, used: Used
    ) -> None:
        await browser.sign_in(hub.admit("mallory", "access:servers!server=mallory/"))
        assert (await browser.get(PREFIX + "x")).status == 403
        assert not used()

    async def test_a_form_of_another_site(self, alice: Browser, used: Used) -> None:
        assert (await alice.request("POST", PREFIX + "x", data=EVENT)).status == 403
        assert not used()

    async def test_signing_in_until_a_page_is_opened(
        self, browser: Browser, hub: FakeHub, used: Used
    ) -> None:
        assert (await browser.sign_in(hub.admit("alice", ACCESS))).status == 302
        assert not used()
        await browser.get(PREFIX + "x")
        assert used()
