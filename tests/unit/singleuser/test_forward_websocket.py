"""WebSockets: who may open one, what passes through it, and how it ends."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import (
    ACCESS,
    HOST,
    PREFIX,
    Browser,
    FakeHub,
    FakeUpstream,
    address,
)

from unixspawner_singleuser.settings import Settings
from unixspawner_singleuser.signing import Signer, derive_key

URL = PREFIX + "ws"
DAY = 86400.0


async def refusal_of(browser: Browser, path: str = URL, **headers: str) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await browser.open(path, **headers)
    return caught.value.status


async def test_text_binary_and_subprotocol_pass(alice: Browser) -> None:
    socket = await alice.open(URL)
    assert socket.protocol == "v1"
    await socket.send_str("grüße")
    assert await socket.receive_str() == "grüße"
    await socket.send_bytes(b"\x00\xff" * 100_000)
    assert await socket.receive_bytes() == b"\x00\xff" * 100_000
    await socket.send_str("")
    assert await socket.receive_str() == ""
    await socket.close()


async def test_compression_is_agreed_on_between_the_two(alice: Browser) -> None:
    own = {"Origin": f"http://{HOST}", "Sec-WebSocket-Extensions": "permessage-deflate"}
    socket = await alice.client.ws_connect(
        address(URL), headers=alice.headers(own), compress=15, max_msg_size=0
    )
    assert socket.compress
    for size in (0, 10, 100_000):
        await socket.send_str("compressible " * size)
        assert await socket.receive_str() == "compressible " * size
    await socket.close()


async def test_a_ping_is_answered_by_the_application(alice: Browser) -> None:
    async with alice.client.ws_connect(
        address(URL), headers=alice.headers({"Origin": f"http://{HOST}"}), autoping=False
    ) as socket:
        await socket.ping(b"are you there")
        message = await socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"are you there")


async def test_the_close_code_of_the_application_arrives(alice: Browser) -> None:
    socket = await alice.open(URL)
    await socket.send_str("close")
    message = await socket.receive()
    assert (message.type, message.data, message.extra) == (
        aiohttp.WSMsgType.CLOSE,
        4001,
        "as you wish",
    )


async def test_the_close_code_of_the_browser_arrives(
    alice: Browser, upstream: FakeUpstream
) -> None:
    socket = await alice.open(URL)
    await socket.close(code=4002)
    await asyncio.wait_for(upstream.left.wait(), 5)
    assert upstream.close_code == 4002


async def test_an_application_that_vanishes_is_reported(alice: Browser) -> None:
    socket = await alice.open(URL)
    await socket.send_str("vanish")
    assert (await socket.receive()).data == 1014


async def test_a_browser_that_vanishes_is_noticed(alice: Browser, upstream: FakeUpstream) -> None:
    await alice.open(URL)
    await alice.client.close()
    await asyncio.wait_for(upstream.left.wait(), 5)


async def test_a_missing_application_is_a_bad_gateway(alice: Browser, directory: Path) -> None:
    (directory / "app.sock").unlink()
    assert await refusal_of(alice) == 502


async def test_what_else_an_application_answers_is_passed_on(alice: Browser) -> None:
    assert await refusal_of(alice, PREFIX + "early") == 413


async def test_a_stranger_never_reaches_the_application(
    browser: Browser, hub: FakeHub, upstream: FakeUpstream
) -> None:
    assert await refusal_of(browser) == 403
    browser.cookies["jupyterhub-user-alice"] = "1700000000.dG9rZW4.bm90LW91cnM"
    assert await refusal_of(browser) == 403
    browser.cookies.clear()
    await browser.sign_in(hub.admit("mallory", "access:servers!server=mallory/"))
    assert await refusal_of(browser) == 403
    assert upstream.seen == []


def signed(configured: Settings, token: str, age: float = 0.0) -> dict[str, str]:
    """The session cookie as the server itself signed it so many seconds ago."""
    signer = Signer(derive_key(configured.api_token), lambda: time.time() - age)
    return {configured.session_cookie: signer.sign(configured.session_cookie, token)}


async def test_an_expired_session_never_reaches_the_application(
    browser: Browser, hub: FakeHub, upstream: FakeUpstream, configured: Settings
) -> None:
    token = hub.admit("alice", ACCESS)
    browser.cookies |= signed(configured, token, 31 * DAY)
    assert await refusal_of(browser) == 403
    assert upstream.seen == hub.asked == []
    browser.cookies |= signed(configured, token)
    await (await browser.open(URL)).close()
    assert upstream.seen == ["/ws"]


async def test_a_token_that_the_hub_has_forgotten_never_reaches_the_application(
    browser: Browser, hub: FakeHub, upstream: FakeUpstream, configured: Settings
) -> None:
    browser.cookies |= signed(configured, hub.admit("alice", ACCESS))
    hub.tokens.clear()
    assert await refusal_of(browser) == 403
    assert upstream.seen == []
    assert hub.asked == ["user"]  # so it was not the cookie


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", f"http://{HOST}.evil", f"http://{HOST}:8000", "null", "", "file://"],
)
async def test_another_origin_never_reaches_the_application(
    alice: Browser, upstream: FakeUpstream, origin: str
) -> None:
    assert await refusal_of(alice, Origin=origin) == 403
    assert upstream.seen == []


async def test_a_token_opens_one_from_anywhere(browser: Browser, hub: FakeHub) -> None:
    token = hub.admit("alice", ACCESS)
    for path, header in ((URL, f"token {token}"), (f"{URL}?token={token}", "")):
        socket = await browser.open(path, Authorization=header, Origin="http://elsewhere")
        await socket.send_str("x")
        assert await socket.receive_str() == "x"
        await socket.close()


async def test_our_own_addresses_are_no_websockets(alice: Browser, upstream: FakeUpstream) -> None:
    for path in ("api", "logout", "oauth_callback", "apps/x"):
        assert await refusal_of(alice, PREFIX + path) in {403, 404}
    assert upstream.seen == []


async def test_signing_out_closes_every_tab(alice: Browser) -> None:
    tabs = [await alice.open(URL) for _ in range(2)]
    await alice.get(PREFIX + "logout")
    assert [(await tab.receive()).data for tab in tabs] == [1008, 1008]


async def test_signing_out_leaves_other_sessions_alone(alice: Browser, hub: FakeHub) -> None:
    mine = await alice.open(URL)
    alice.cookies = {"jupyterhub-session-id": "session-of-bob"}
    await alice.sign_in(hub.admit("bob", ACCESS))
    await alice.get(PREFIX + "logout")
    await mine.send_str("still here")
    assert await mine.receive_str() == "still here"
    await mine.close()


async def test_a_socket_ends_when_the_hub_withdraws_access(
    alice: Browser, hub: FakeHub, running: Running
) -> None:
    socket = await alice.open(URL)
    hub.tokens.clear()
    await running.application.exchanges.revalidate(running.application.sessions)
    assert (await socket.receive()).data == 1008


async def test_a_stop_closes_sockets_at_once(
    alice: Browser, running: Running, upstream: FakeUpstream
) -> None:
    socket = await alice.open(URL)
    reading = asyncio.create_task(socket.receive())
    assert await running.stop() < 0.5
    assert (await reading).data == 1012
    await asyncio.wait_for(upstream.left.wait(), 5)


async def test_messages_count_as_activity(alice: Browser, running: Running) -> None:
    socket = await alice.open(URL)
    before = running.application.activity._last
    await socket.send_str("x")
    await socket.receive_str()
    assert running.application.activity._last > before
    await socket.close()
