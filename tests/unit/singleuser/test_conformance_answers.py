"""What of an application's answer reaches the browser, and in which form."""

from __future__ import annotations

import asyncio
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import HOST, PREFIX, Browser
from tests.unit.singleuser.raw import (
    OK,
    Reader,
    Writer,
    answer_to,
    answering,
    application,
    connection,
    head,
)

from unixspawner_singleuser.catalogue import Application, Catalogue, Upstream

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_range_and_its_answer_pass(alice: Browser, directory: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/9\r\n"
            b"Accept-Ranges: bytes\r\nContent-Length: 3\r\n\r\ncde"
        )

    async with application(directory, serve):
        response = await alice.get(PREFIX + "x", Range="bytes=2-4", If_Range='"v1"')
        assert (response.status, await response.read()) == (206, b"cde")
    assert response.headers["Content-Range"] == "bytes 2-4/9"
    assert b"\r\nrange: bytes=2-4\r\n" in asked[0]
    assert b'\r\nif-range: "v1"\r\n' in asked[0]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: x\r\n\r\n", 304),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ],
)
async def test_an_answer_without_a_body_ends_at_once(
    alice: Browser, directory: Path, answer: bytes, status: int
) -> None:
    async with application(directory, answering(answer)):
        for _ in range(3):  # on a connection that is kept
            response = await asyncio.wait_for(alice.get(PREFIX + "x"), 5)
            assert (response.status, await response.read()) == (status, b"")


async def test_an_answer_to_head_may_promise_a_body(alice: Browser, directory: Path) -> None:
    promise = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    async with application(directory, answering(promise)):
        for _ in range(3):
            response = await asyncio.wait_for(alice.request("HEAD", PREFIX + "x"), 5)
            assert response.headers["Content-Length"] == "500"
            assert await response.read() == b""


async def on_the_wire(browser: Browser, directory: Path) -> bytes:
    """Every byte of an answer: a client's library shows neither interim answers nor trailers."""
    return await answer_to(directory, head(browser, "GET", "x", "Connection: close"))


async def test_interim_answers_go_no_further(alice: Browser, directory: Path) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    async with application(directory, answering(hints + OK)):
        for _ in range(2):  # on a connection that is kept
            said = await on_the_wire(alice, directory)
            assert said.startswith(b"HTTP/1.1 200 OK\r\n")
            assert said.count(b"HTTP/1.1 ") == 1
            assert b"\r\nlink:" not in said.lower()
            assert said.endswith(b"\r\n\r\nok")


async def test_trailers_of_an_answer_are_dropped(alice: Browser, directory: Path) -> None:
    body = b"2\r\nok\r\n0\r\nSet-Cookie: jupyterhub-user-alice=x\r\nX-T: 1\r\n\r\n"
    async with application(directory, answering(CHUNKED + body)):
        for _ in range(2):
            said = await on_the_wire(alice, directory)
            assert said.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"x-t:" not in said.lower()
            assert b"jupyterhub-user-alice" not in said
            assert said.endswith(b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")


async def test_hop_by_hop_headers_of_an_answer_stay_on_their_hop(
    alice: Browser, directory: Path
) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nconnection: x-other\r\n"
        b"X-Hop: 1\r\nX-Other: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"
        b'Trailer: X-T\r\nUpgrade: h2c\r\nClear-Site-Data: "*"\r\nService-Worker-Allowed: /\r\n'
        b"X-End: kept\r\nContent-Length: 2\r\n\r\nok"
    )
    async with application(directory, answering(answer)):
        response = await alice.get(PREFIX + "x")
    names = {name.lower() for name in response.headers}
    assert names == {"x-end", "content-length", "x-jupyterhub-version", "date"}


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/login?next=%2F", f"{PREFIX}login?next=%2F"),
        ("/", PREFIX),
        (f"{PREFIX}lab", f"{PREFIX}lab"),
        ("/%40/my%20lab/user/alice/lab", "/%40/my%20lab/user/alice/lab"),
        ("/@/my%20lab/user/alicex/", f"{PREFIX}@/my%20lab/user/alicex/"),
        ("/@/my%20lab/hub/logout", "/@/my%20lab/hub/logout"),
        ("login", "login"),
        ("?page=2", "?page=2"),
        (f"http://{HOST}/login", f"{PREFIX}login"),
        (f"https://{HOST}", PREFIX),
        (f"http://{HOST}?a=/", f"{PREFIX}?a=/"),
        (f"http://{HOST}{PREFIX}lab#x", f"{PREFIX}lab#x"),
        ("https://docs.example/x", "https://docs.example/x"),
        (f"http://{HOST}@evil.example/", f"http://{HOST}@evil.example/"),
        (f"http://{HOST}//evil.example/", f"http://{HOST}//evil.example/"),
        ("//docs.example/x", "//docs.example/x"),
    ],
)
async def test_redirects_stay_under_the_prefix(
    alice: Browser, directory: Path, sent: str, seen: str
) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {sent}\r\nContent-Length: 0\r\n\r\n".encode()
    async with application(directory, answering(answer)):
        assert (await alice.get(PREFIX + "x")).headers["Location"] == seen


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("a=1", "a=1"),
        ("a=1; Path=/; HttpOnly", f"a=1; Path={PREFIX}; HttpOnly"),
        ("a=1;path=/sub;Secure", f"a=1; Path={PREFIX}sub;Secure"),
        (f"a=1; Path={PREFIX}lab", f"a=1; Path={PREFIX}lab"),
        ("a=1; Path=/@/my%20lab/hub/", f"a=1; Path={PREFIX}@/my%20lab/hub/"),
        ("a=1; Domain=lab.example; Path=relative", "a=1; Path=relative"),
        (
            "a=1; Expires=Wed, 09 Jun 2032 10:18:14 GMT",
            "a=1; Expires=Wed, 09 Jun 2032 10:18:14 GMT",
        ),
        ("jupyterhub-user-alice=stolen; Path=/", None),
        ("jupyterhub-session-id=fixed", None),
        ("__Host-jupyterhub-user-alice=stolen", None),
        (" _xsrf =tossed", None),
        ("=_xsrf=tossed", None),
        ("= jupyterhub-hub-login=x", None),
    ],
)
async def test_cookies_keep_to_the_prefix_and_leave_ours_alone(
    alice: Browser, directory: Path, sent: str, seen: str | None
) -> None:
    answer = f"HTTP/1.1 200 OK\r\nSet-Cookie: {sent}\r\nContent-Length: 0\r\n\r\n".encode()
    async with application(directory, answering(answer)):
        response = await alice.client.get(
            f"http://server{PREFIX}x", headers=alice.headers({}), allow_redirects=False
        )
    assert response.headers.getall("Set-Cookie", []) == ([] if seen is None else [seen])


async def test_every_header_keeps_its_place_and_repeated_ones_stay_apart(
    alice: Browser, directory: Path
) -> None:
    lines = [
        "b-second: 1",
        "set-cookie: a=1, 2; Expires=Wed, 09 Jun 2032 10:18:14 GMT",
        "a-first: 1",
        "set-cookie: b=2",
        "b-second: 2",
        "www-authenticate: Basic, Digest x=1",
        "www-authenticate: Negotiate",
        "x-empty: ",
        "x-latin: \xe9\xff",
        "content-length: 2",
        "z: tab\there",
    ]
    answer = "HTTP/1.1 200 OK\r\n" + "\r\n".join(lines) + "\r\n\r\nok"
    async with (
        application(directory, answering(answer.encode("latin-1"))),
        connection(directory) as (reader, writer),
    ):
        writer.write(head(alice))
        seen = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    own = ("x-jupyterhub-version: ", "date: ")
    assert [line for line in seen[1:] if line and not line.startswith(own)] == lines


async def test_each_event_arrives_before_the_next_one_is_made(
    alice: Browser, directory: Path
) -> None:
    arrived = asyncio.Semaphore(0)

    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: text/event-stream\r\n\r\n"))
        for number in range(20):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await arrived.acquire()
        writer.write(b"0\r\n\r\n")

    async with application(directory, serve):
        response = await alice.get(PREFIX + "x")
        for number in range(20):
            line = await asyncio.wait_for(response.content.readline(), 5)
            assert line == b"data: %d\n" % number
            assert await response.content.readline() == b"\n"
            arrived.release()
        assert await response.read() == b""


async def test_half_an_answer_moves_on_before_there_is_a_whole(
    alice: Browser, directory: Path
) -> None:
    arrived = asyncio.Semaphore(0)

    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        for piece in (b"a", b"b", b"c", b"d"):
            await arrived.acquire()
            writer.write(piece)

    async with application(directory, serve), connection(directory) as (reader, writer):
        writer.write(head(alice))
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        for piece in (b"a", b"b", b"c", b"d"):
            arrived.release()
            assert await asyncio.wait_for(reader.readexactly(1), 5) == piece


async def test_who_speaks_an_old_version_gets_no_chunks(alice: Browser, directory: Path) -> None:
    chunked = CHUNKED + b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"
    async with application(directory, answering(chunked)):
        for method, body in (("GET", b"abcd"), ("HEAD", b"")):
            request = head(alice, method).replace(b" HTTP/1.1", b" HTTP/1.0", 1)
            said, _, rest = (await answer_to(directory, request)).partition(b"\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nconnection: close" in said
            assert b"transfer-encoding" not in said
            assert rest == body


class TestAnApplicationWithAnOldVersionOfHttp:
    @pytest.fixture
    def applications(self, tmp_path: Path) -> Iterator[Catalogue]:
        """Python's own http.server, in a thread."""
        (tmp_path / "page.html").write_text("old")
        handler = functools.partial(Quiet, directory=str(tmp_path))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever).start()
            place = Upstream(host="127.0.0.1", port=server.server_address[1])
            yield Catalogue((Application("old", "Old", "", True, place),))
            server.shutdown()

    async def test_is_understood(self, alice: Browser) -> None:
        for _ in range(3):
            response = await alice.get(PREFIX + "page.html")
            assert (response.status, await response.read()) == (200, b"old")
            response = await alice.request("HEAD", PREFIX + "page.html")
            assert (response.headers["Content-Length"], await response.read()) == ("3", b"")
            xsrf = {"X_XSRFToken": alice.cookies["_xsrf"]}
            response = await alice.request("POST", PREFIX + "page.html", data=b"x" * 1000, **xsrf)
            assert response.status == 501
            await response.read()
            response = await alice.get(PREFIX + "missing")
            assert response.status == 404
            await response.read()


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_arguments: object) -> None:
        pass
