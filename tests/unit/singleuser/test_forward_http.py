"""What reaches the application, what comes back, and what happens when either side breaks off."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import (
    ACCESS,
    PREFIX,
    Browser,
    FakeHub,
    FakeUpstream,
    settings,
)

from unixspawner_singleuser.account import Account, current_account
from unixspawner_singleuser.settings import Settings

ACCOUNT = pwd.getpwuid(os.getuid()).pw_name


async def headers_seen(response: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in (await response.json())["headers"]]


async def test_the_application_sees_path_and_query_as_they_were_sent(alice: Browser) -> None:
    response = await alice.get(f"{PREFIX}a%2Fb//c%20d;x?q=%2f&r=+%zz")
    assert (await response.json())["target"] == "/a%2Fb//c%20d;x?q=%2f&r=+%zz"


@pytest.mark.parametrize(
    "path", ["@evil/", "/evil/", "%2f%2fevil/", "http://evil/", "\\evil", "x@evil:80/", ":80/"]
)
async def test_no_path_leads_away_from_the_upstream(alice: Browser, path: str) -> None:
    response = await alice.get(PREFIX + path)
    assert (response.status, (await response.json())["target"]) == (200, "/" + path)


@pytest.mark.parametrize("path", ["../x", "a/../../x", "%2e%2e/x", "a/./b", "a%2f..%2fb", "..%5cx"])
async def test_dot_segments_are_refused(alice: Browser, upstream: FakeUpstream, path: str) -> None:
    response = await alice.get(PREFIX + path)
    assert response.status == 400
    assert upstream.seen == []


async def test_the_account_and_nobody_else_is_named(alice: Browser) -> None:
    forged = {
        "X-Forwarded-User": "root",
        "x_forwarded_user": "root",
        "X-FORWARDED-GROUPS": "wheel",
        "Remote-User": "root",
        "X-Forwarded-Visitor": "mallory",
        "X-Forwarded-Prefix": "/elsewhere",
        "Connection": "keep-alive, X-Secret-Hop",
        "X-Secret-Hop": "1",
        "Proxy": "http://evil",
        "Keep-Alive": "5",
    }
    seen = await headers_seen(await alice.get(PREFIX + "x", **forged))
    names = [name for name, _ in seen]
    assert dict(seen)["x-forwarded-user"] == ACCOUNT
    assert dict(seen)["x-forwarded-uid"] == str(os.getuid())
    assert dict(seen)["x-forwarded-prefix"] == PREFIX.rstrip("/")
    assert sorted(name for name in names if "forwarded" in name or "remote" in name) == [
        "x-forwarded-groups",
        "x-forwarded-prefix",
        "x-forwarded-uid",
        "x-forwarded-user",
    ]
    assert {"x-secret-hop", "proxy", "keep-alive", "connection"}.isdisjoint(names)


class TestGroups:
    @pytest.fixture
    def account(self, account: Account) -> Account:
        return replace(account, groups=("zoo", "lab staff", "a,b", "gr\u00fcn%", "1234"))

    async def test_are_named_in_the_order_of_their_numbers(self, alice: Browser) -> None:
        seen = await headers_seen(await alice.get(PREFIX + "x", X_Forwarded_Groups="root"))
        groups = [value for name, value in seen if name == "x-forwarded-groups"]
        assert groups == ["zoo,lab staff,a%2Cb,gr%C3%BCn%25,1234"]


def test_the_accounts_groups_are_in_the_order_of_their_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {7: "zoo", 20: "lab"}
    monkeypatch.setattr(os, "getgid", lambda: 20)
    monkeypatch.setattr(os, "getgroups", lambda: [4_000_000, 20, 7])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: SimpleNamespace(gr_name=names[gid]))
    assert current_account().groups == ("zoo", "lab", "4000000")


async def test_a_visitor_is_named_beside_the_account(browser: Browser, hub: FakeHub) -> None:
    await browser.sign_in(hub.admit("bob\r\nX: é", ACCESS))
    seen = dict(await headers_seen(await browser.get(PREFIX + "x")))
    assert seen["x-forwarded-user"] == ACCOUNT
    assert seen["x-forwarded-visitor"] == "bob%0D%0AX: %C3%A9"


async def test_no_credential_of_ours_reaches_the_application(alice: Browser, hub: FakeHub) -> None:
    alice.cookies |= {"mine": "1", "jupyterhub-hub-login": "h", "jupyterhub-user-bob": "b"}
    seen = dict(await headers_seen(await alice.get(PREFIX + "x")))
    assert seen["cookie"] == "mine=1"
    alice.cookies.clear()
    token = f"Bearer {hub.admit('alice', ACCESS)}"
    assert "authorization" not in dict(
        await headers_seen(await alice.get(PREFIX + "x", Authorization=token))
    )


async def test_an_authorization_of_the_application_passes(alice: Browser) -> None:
    seen = dict(await headers_seen(await alice.get(PREFIX + "x", Authorization="Basic YTpi")))
    assert seen["authorization"] == "Basic YTpi"


async def test_two_cookies_stay_two_and_ours_cannot_be_set(alice: Browser) -> None:
    response = await alice.get(PREFIX + "cookies")
    assert response.headers.getall("Set-Cookie") == [
        f"a=1; Path={PREFIX}",
        "b=2; Expires=Wed, 09 Jun 2032 10:18:14 GMT",
    ]
    assert "X-Hop" not in response.headers
    assert response.headers["X-JupyterHub-Version"]
    assert len(response.headers.getall("Date")) == 1


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 65536


async def test_large_bodies_pass_both_ways(alice: Browser) -> None:
    xsrf = {"X_XSRFToken": alice.cookies["_xsrf"]}
    response = await alice.request("POST", PREFIX + "count", data=pieces(320), **xsrf)
    assert await response.json() == 320 * 65536
    size = 320 * 65536
    response = await alice.get(f"{PREFIX}big?size={size}")
    assert len(await response.read()) == size


async def test_a_sized_body_keeps_its_size(alice: Browser) -> None:
    xsrf = {"X_XSRFToken": alice.cookies["_xsrf"]}
    response = await alice.request("PUT", PREFIX + "x", data=b"\x00\xff", **xsrf)
    model = await response.json()
    assert (model["method"], model["body"]) == ("PUT", "\x00\xff")
    seen = {name.lower(): value for name, value in model["headers"]}
    assert seen["content-length"] == "2"
    assert "transfer-encoding" not in seen


async def test_an_answer_may_come_before_the_body_was_read(alice: Browser) -> None:
    xsrf = {"X_XSRFToken": alice.cookies["_xsrf"]}
    response = await alice.request("POST", PREFIX + "early", data=pieces(4), **xsrf)
    assert (response.status, await response.text()) == (413, "too large")


async def test_events_arrive_one_by_one_and_leaving_is_noticed(
    alice: Browser, upstream: FakeUpstream
) -> None:
    response = await alice.get(PREFIX + "sse")
    assert await response.content.readline() == b"data: first\n"
    response.close()
    await asyncio.wait_for(upstream.left.wait(), 5)


async def test_leaving_before_the_answer_is_noticed(alice: Browser, upstream: FakeUpstream) -> None:
    request = asyncio.create_task(alice.get(PREFIX + "slow"))
    while "/slow" not in upstream.seen:
        await asyncio.sleep(0.01)
    request.cancel()
    await asyncio.wait_for(upstream.left.wait(), 5)


async def test_a_broken_off_answer_is_not_completed(alice: Browser) -> None:
    response = await alice.get(PREFIX + "bad/short")
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()


async def test_a_missing_application_is_named_and_nothing_else(
    alice: Browser, directory: Path
) -> None:
    (directory / "app.sock").unlink()
    response = await alice.get(PREFIX + "<script>x?secret")
    text = await response.text()
    assert response.status == 502
    assert "Notes &amp; &lt;b&gt;more&lt;/b&gt;" in text
    assert all(word not in text for word in ("<script", "secret", "app.sock", "Error", "Cannot"))
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


async def test_garbage_from_the_application_is_a_bad_gateway(
    alice: Browser, directory: Path
) -> None:
    (directory / "app.sock").unlink()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"!!! not http\r\n\r\n")
        writer.close()

    async with await asyncio.start_unix_server(answer, directory / "app.sock"):
        assert (await alice.get(PREFIX + "x")).status == 502


@pytest.mark.parametrize(
    "request_text",
    [
        b"POST {}x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST {}x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        b"GET http://evil{}x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    ],
)
async def test_ambiguous_requests_are_refused_and_the_connection_ends(
    running: Running, directory: Path, upstream: FakeUpstream, request_text: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(directory / "server.sock")
    writer.write(request_text.replace(b"{}", PREFIX.encode()))
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert upstream.seen == []
    writer.close()
    await writer.wait_closed()


async def test_a_stop_ends_event_streams_at_once_and_cleanly(
    alice: Browser, running: Running
) -> None:
    response = await alice.get(PREFIX + "sse")
    await response.content.readline()
    assert await running.stop() < 0.5
    assert await response.content.read() == b"\n"


async def test_a_stop_does_not_wait_for_ever(alice: Browser, running: Running) -> None:
    request = asyncio.create_task(alice.get(PREFIX + "slow"))
    await asyncio.sleep(0.1)
    assert await running.stop() < 2.5
    await asyncio.gather(request, return_exceptions=True)


async def test_a_broken_chunk_ends_the_connection(
    alice: Browser, directory: Path, upstream: FakeUpstream
) -> None:
    head = (
        f"POST {PREFIX}count?_xsrf={alice.cookies['_xsrf']} HTTP/1.1\r\nHost: h\r\n"
        f"Cookie: {alice.headers({})['Cookie']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    reader, writer = await asyncio.open_unix_connection(directory / "server.sock")
    writer.write(head.encode() + b"5\r\nhelloXX0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert not any("smuggled" in path for path in upstream.seen)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_connection_that_the_application_dropped_costs_no_request(
    alice: Browser, directory: Path, method: str
) -> None:
    (directory / "app.sock").unlink()
    bodies: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(3) if head.startswith(b"P") else b""
        bodies.append(body)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    xsrf = {"X_XSRFToken": alice.cookies["_xsrf"]}
    data = None if method == "GET" else b"abc"
    async with await asyncio.start_unix_server(answer, directory / "app.sock"):
        for _ in range(5):
            response = await alice.request(method, PREFIX + "x", data=data, **xsrf)
            assert await response.read() == b"ok"
    assert bodies == [data or b""] * 5


class TestStartPage:
    @pytest.fixture
    def configured(self, directory: Path) -> Settings:
        return settings(directory, JUPYTERHUB_DEFAULT_URL="//lab?a=1")

    async def test_the_prefix_leads_there_and_nowhere_else(self, alice: Browser) -> None:
        response = await alice.get(PREFIX)
        assert (response.status, response.headers["Location"]) == (302, PREFIX + "lab?a=1")
        assert (await alice.get(PREFIX + "x")).status == 200


async def test_an_answer_to_head_keeps_its_length_and_has_no_body(alice: Browser) -> None:
    response = await alice.request("HEAD", PREFIX + "x")
    assert response.status == 200
    assert int(response.headers["Content-Length"]) > 100
    assert await response.read() == b""
