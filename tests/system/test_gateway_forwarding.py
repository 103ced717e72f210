"""What reaches an application and what comes back, through the real proxy. See docs/threats.md."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import pytest
from tests.system.accounts import Accounts
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.public_port import answer_to, connected, head, statuses, until, until_end
from tests.system.puppet import Puppet, told
from tests.unit.singleuser.test_headers import HOSTILE_PAIRS, TOLD_BY_PROXIES


@pytest.fixture
def alice(accounts: Accounts, puppet: Puppet, browser: OpenBrowser) -> Browserless:
    """Signed in, before an application that writes down what it gets."""
    person = browser()
    assert person.sign_in(accounts.alice).text == "puppet"
    puppet.forget()
    return person


@pytest.fixture
def at(alice: Browserless) -> str:
    """The path of alice's server."""
    return f"{alice.base}user/alice/"


@contextmanager
def elsewhere(host: Host) -> Iterator[tuple[str, list[bytes]]]:
    """A listener that nothing of ours may ever be led to: its address, and what it heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hear() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(65536))

        thread = threading.Thread(target=hear)
        thread.start()
        try:
            yield f"127.0.0.1:{host.expose(listener.getsockname()[1])}", heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_no_path_leads_away_from_the_application(
    host: Host, alice: Browserless, at: str, puppet: Puppet
) -> None:
    with elsewhere(host) as (evil, heard):
        paths = [f"@{evil}/", f"/{evil}/", f"%2f%2f{evil}/", f"x@{evil}/", f":80@{evil}/"]
        paths += [f"http://{evil}/", f"\\{evil}\\", f"%40{evil}/", f"a?@{evil}", f"a%00@{evil}"]
        for path in paths:
            answer = answer_to(host, head(host, alice, "GET", at + path, "Connection: close"))
            assert statuses(answer) == [200], path
        assert heard == []
    # the proxy makes a slash of a backslash
    assert puppet.targets() == ["/" + path.replace("\\", "/") for path in paths]


def test_a_target_that_is_no_plain_path_stays_here(
    host: Host, alice: Browserless, at: str, puppet: Puppet
) -> None:
    """The proxy makes a path of it, or somebody refuses it; the name in it is never looked up."""
    with elsewhere(host) as (evil, heard):
        targets = [f"http://{evil}{at}x", f"//{evil}{at}x", f"http:{at}x", "*", f"{at}../../bob/x"]
        targets += [f"{at}a/%2e%2e/x", f"{at}a%2f..%2fx", f"{evil}", f"{at}..%5c..%5cbob/x"]
        for target in targets:
            request = head(host, alice, "GET", target, "Connection: close", path=at)
            found = statuses(answer_to(host, request))
            assert len(found) == 1, target
            assert found[0] in {200, 302, 400, 403, 404}, target
        assert heard == []
    assert set(puppet.targets()) == {"/x"}


def test_an_application_that_is_no_such_application_is_not_found(
    alice: Browserless, puppet: Puppet
) -> None:
    names = [
        "x@evil.example",
        ";id",
        "$(id)",
        "`id`",
        "%0a",
        "a b",
        "A",
        "<script>",
        "x" * 999,
    ]
    for name in names:
        answer = alice.go(f"user/alice/apps/{quote(name)}/")
        assert answer.status_code in {400, 404}, name
        assert "uid=" not in answer.text
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert puppet.targets() == []


def test_nothing_in_an_address_reaches_a_shell(alice: Browserless, puppet: Puppet) -> None:
    for where in ("?{}=$(id)", "?x={}$(id)", "$(id)/{}", "`id`?{}=|id", "{};id"):
        for name in ("x", "user", "cmd", "next", "state", "code", "name", "token"):
            answer = alice.go("user/alice/" + where.replace("{}", name))
            assert answer.text == "puppet"
    for path in ("user/alice/oauth_callback", "user/alice/logout", "user/alice/apps/x/log"):
        assert "uid=" not in alice.go(path + "?x=$(id)&state=$(id)&code=`id`&error=$(id)").text
    assert "uid=" not in str(puppet.received())


def test_markup_in_an_address_comes_back_escaped_under_a_policy(
    host: Host, alice: Browserless, puppet: Puppet
) -> None:
    host.run("kill", puppet.pid)
    for path in ("user/alice/<script>alert(1)</script>?<script>", "user/alice/apps/<script>"):
        answer = alice.go(path)
        assert answer.status_code in {404, 502}
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for path in ("<script>alert(1)</script>", "hub/<script>alert(1)</script>", "user/<script>/"):
        assert "<script>alert(1)" not in alice.go(path).text


# Identity


def test_no_claim_of_identity_reaches_the_application(
    host: Host, alice: Browserless, at: str, accounts: Accounts, puppet: Puppet
) -> None:
    names = " ".join(TOLD_BY_PROXIES.values()).split()
    spelled = [name for each in names for name in (each, each.upper(), each.replace("-", "_"))]
    spelled = [name for name in spelled if name.lower() not in {"content_length"}]
    for start in range(0, len(spelled), 40):
        lines = [f"{name}: forged" for name in spelled[start : start + 40] * 2]
        request = head(host, alice, "GET", at + "x", *lines, "Connection: close")
        assert statuses(answer_to(host, request)) == [200]
    groups = set(host.run("id", "-Gn", "alice").out.split())
    for each in puppet.received():
        assert "forged" not in str(each)
        own = {name: value for name, value in each.fields.items() if "user" in name}
        assert own.pop("user-agent", "") == ""
        assert own == {"x-forwarded-user": "alice"}
        assert each.fields["x-forwarded-uid"] == str(accounts.alice.uid)
        assert set(each.fields["x-forwarded-groups"].split(",")) == groups


def test_the_last_word_about_the_way_is_the_proxys(
    host: Host, alice: Browserless, at: str, puppet: Puppet
) -> None:
    """From this machine, where a web server of the administrator's may be; see test_proxy.py."""
    forged = {
        "Forwarded": "for=6.6.6.6;host=evil.example;proto=https",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "666",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Protocol": "ssl",
        "X-Forwarded-Scheme": "gopher",
        "X-Forwarded-Server": "evil.example",
        "X-Forwarded-Ssl": "on",
        "X-Real-IP": "6.6.6.6",
        "X-Scheme": "gopher",
    }
    url = urlsplit(host.url)
    lines = [f"{name}: {value}" for name, value in forged.items()]
    plain = head(host, alice, "GET", at + "x", "Connection: close")
    claims = head(host, alice, "GET", at + "x", *lines, "Connection: close")
    assert statuses(answer_to(host, plain)) == statuses(answer_to(host, claims)) == [200]
    truth, told_so = (
        {name: seen.fields[name] for name in map(str.lower, forged) if name in seen.fields}
        for seen in puppet.received()
    )
    address = truth["x-forwarded-for"]
    assert truth == {
        "x-forwarded-for": address,
        "x-forwarded-host": url.netloc,
        "x-forwarded-port": str(url.port or (443 if url.scheme == "https" else 80)),
        "x-forwarded-proto": url.scheme,
    }
    assert address.startswith("127.")
    assert told_so == {
        "x-forwarded-for": f"6.6.6.6,{address}",
        "x-forwarded-host": "evil.example",
        "x-forwarded-port": f"666,{truth['x-forwarded-port']}",
        "x-forwarded-proto": f"gopher,{url.scheme}",
    }


def test_no_credential_of_ours_reaches_the_application(
    host: Host, alice: Browserless, at: str, puppet: Puppet
) -> None:
    cookies, token = alice.credentials(at)
    assert token
    alice.go(f"user/alice/x?_xsrf={token}&a=1")
    alice.fetch("POST", "user/alice/y", {"Referer": f"{host.url}user/alice/?_xsrf={token}"})
    hostile = "; ".join([*HOSTILE_PAIRS, "mine=1"])
    answer_to(
        host, head(host, None, "GET", at, f"Cookie: {cookies}; {hostile}", "Connection: close")
    )
    values = [pair.partition("=")[2] for pair in cookies.split("; ")]
    text = str(puppet.received())
    assert [value for value in [token, *values] if value in text] == []
    assert puppet.targets() == ["/x?a=1", "/y", "/"]
    assert puppet.received()[-1].fields["cookie"] == "me=1; ME=1; me-oauth-state-1=1; mine=1"


# Framing


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\nX-Forwarded-User: root\r\n\r\n"
CHUNKED = b"0\r\n\r\n" + SMUGGLED
AMBIGUOUS: dict[str, tuple[tuple[str, ...], bytes]] = {
    "two kinds of length": (("Content-Length: 4", "Transfer-Encoding: chunked"), CHUNKED),
    "the same, the other way": (("Transfer-Encoding: chunked", "Content-Length: 4"), CHUNKED),
    "two lengths": (("Content-Length: 0", "Content-Length: 59"), SMUGGLED),
    "two lengths in one": (("Content-Length: 0, 59",), SMUGGLED),
    "a signed length": (("Content-Length: +0",), SMUGGLED),
    "a length with an underscore": (("Content_Length: 59",), SMUGGLED),
    "a length of another base": (("Content-Length: 0x3b",), SMUGGLED),
    "an unknown coding": (("Transfer-Encoding: xchunked",), CHUNKED),
    "two codings": (("Transfer-Encoding: chunked, identity",), CHUNKED),
    "a coding twice": (("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), CHUNKED),
    "a coding with a blank": (("Transfer-Encoding : chunked",), CHUNKED),
    "a coding after a tab": (("Transfer-Encoding:\tchunked\x0b",), CHUNKED),
    "a folded coding": (("X: y", " Transfer-Encoding: chunked"), CHUNKED),
    "a length that is for this hop": (
        ("Content-Length: 59", "Connection: content-length"),
        SMUGGLED,
    ),
    "a chunk with a wrong end": (("Transfer-Encoding: chunked",), b"5\r\nhelloXX" + CHUNKED),
    "a chunk with a bare line end": (("Transfer-Encoding: chunked",), b"1\na\n" + CHUNKED),
    "a chunk of another base": (("Transfer-Encoding: chunked",), b"0x1\r\na\r\n" + CHUNKED),
    "a chunk that is too long": (
        ("Transfer-Encoding: chunked",),
        b"fffffffffffffffff1\r\n" + CHUNKED,
    ),
}


def test_no_second_request_is_smuggled_past_the_gate(
    host: Host, alice: Browserless, at: str, puppet: Puppet
) -> None:
    """Neither as a request of its own without our headers, nor as one of somebody else's.

    A body that is read as a body is fine; what counts is that nobody takes it for a request.
    """
    for name, (lines, body) in AMBIGUOUS.items():
        with connected(host) as connection:
            connection.sendall(head(host, alice, "POST", at + "x", *lines) + body)
            connection.sendall(head(host, None, "GET", at + "next", "Connection: close"))
            answer = until_end(connection)
        assert b"HTTP/1.1 " in answer, name
        alice.go("user/alice/after")
        seen = puppet.received()
        assert [each.target for each in seen if "smuggled" in each.target] == [], name
        assert [each.fields["x-forwarded-user"] for each in seen] == ["alice"] * len(seen), name
        assert "/after" in [each.target for each in seen]
        puppet.forget()


# Bodies, in both directions


def test_an_upload_waits_for_leave_where_it_says_so(
    host: Host, alice: Browserless, at: str, puppet: Puppet
) -> None:
    lines = ("Expect: 100-continue", "Content-Length: 5", "Connection: close")
    with connected(host) as connection:
        connection.sendall(head(host, alice, "PUT", at + "x", *lines))
        answer = until(connection, b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        answer += until_end(connection)
    assert statuses(answer) == [100, 200]
    (seen,) = puppet.received()
    assert (seen.method, seen.body) == ("PUT", "hello")


def test_a_body_of_unknown_length_arrives_whole(
    host: Host, alice: Browserless, at: str, puppet: Puppet
) -> None:
    lines = ("Transfer-Encoding: chunked", "Connection: close")
    pieces = (b"3\r\nabc\r\n", b"4\r\ndefg\r\n", b"0\r\n\r\n")
    answer = answer_to(host, head(host, alice, "POST", at + "x", *lines), *pieces)
    assert statuses(answer) == [200]
    (seen,) = puppet.received()
    assert seen.body == "abcdefg"
    assert seen.fields["transfer-encoding"] == "chunked"
    assert "content-length" not in seen.fields


def test_each_event_arrives_before_the_next_one_is_written(
    host: Host, alice: Browserless, at: str
) -> None:
    """The application waits for leave, which comes when the event before has been read."""
    with connected(host) as connection:
        connection.sendall(head(host, alice, "GET", f"{at}x?stream=4", "Connection: close"))
        answer = until(connection, b"data: 0\n\n")
        for number in range(1, 4):
            assert b"data: %d" % number not in answer
            assert alice.go("user/alice/y?leave=").text == "puppet"
            answer += until(connection, b"data: %d\n\n" % number)
        answer += until_end(connection)
    assert statuses(answer) == [200]
    assert answer.endswith(b"\r\n0\r\n\r\n")  # whole, and the trailer is of that hop
    assert b"x-trailer" not in answer.lower()


def test_parts_and_answers_without_a_body_come_as_they_are(
    host: Host, alice: Browserless, at: str, puppet: Puppet
) -> None:
    part = "user/alice/" + told("x", "Content-Range: bytes 2-4/9", status=206, body="cde")
    answer = alice.fetch("GET", part, {"Range": "bytes=2-4"})
    assert (answer.status_code, answer.text) == (206, "cde")
    assert answer.headers["content-range"] == "bytes 2-4/9"
    assert puppet.received()[0].fields["range"] == "bytes=2-4"

    whole = alice.fetch("HEAD", "user/alice/" + told("x", 'ETag: "a"', body="four"))
    assert (whole.status_code, whole.content) == (200, b"")
    assert (whole.headers["content-length"], whole.headers["etag"]) == ("4", '"a"')

    # on one connection, where a body that nobody expects would be the next answer's
    same = told("x", 'ETag: "a"', status=304)
    with connected(host) as connection:
        connection.sendall(head(host, alice, "GET", at + same, 'If-None-Match: "a"'))
        first = until(connection, b"\r\n\r\n")
        connection.sendall(head(host, alice, "GET", f"{at}y", "Connection: close"))
        second = until_end(connection)
    assert (statuses(first), statuses(second)) == ([304], [200])
    assert b'etag: "a"\r\n' in first.lower()
    assert first.endswith(b"\r\n\r\n")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert puppet.received()[2].fields["if-none-match"] == '"a"'


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_that_is_cut_short_is_not_completed(
    host: Host, alice: Browserless, at: str, framing: str
) -> None:
    """The client is told by the end of the connection, and at once."""
    answer = answer_to(host, head(host, alice, "GET", f"{at}x?body=half&cut={framing}"))
    begin, _, body = answer.partition(b"\r\n\r\n")
    assert statuses(answer) == [200]
    if framing == "length":
        assert b"content-length: 5" in begin.lower()
        assert body == b"half"
    else:
        assert body == b"4\r\nhalf\r\n"
    assert alice.go("user/alice/y").text == "puppet"


# The way back


def cookies_after(alice: Browserless, *lines: str) -> list[str]:
    answer = alice.go("user/alice/" + told("x", *(f"Set-Cookie: {line}" for line in lines)))
    assert answer.text == "puppet"
    return answer.headers.get_list("set-cookie")


def test_an_application_sets_no_cookie_of_ours_and_none_beyond_its_place(
    alice: Browserless, at: str
) -> None:
    paths = (
        "",
        "; Path=/",
        f"; Path={alice.base}hub/",
        "; Path=/; Max-Age=0",
        "; Domain=127.0.0.1",
    )
    ours = [
        f"{pair}{path}"
        for pair in HOSTILE_PAIRS
        for path in paths
        if not pair.lower().startswith("me")
    ]
    session = [f"{name}=stolen" for name in ("jupyterhub-user-alice", "JUPYTERHUB-USER-ALICE-x")]
    assert cookies_after(alice, *ours, *session) == []
    assert cookies_after(alice, "a=1; Path=/", f"b=2; Path={alice.base}hub/; Domain=x.example") == [
        f"a=1; Path={at}",
        f"b=2; Path={at[:-1]}{alice.base}hub/",
    ]
    assert alice.fetch("GET", "user/alice/whoami").status_code == 200  # still signed in


def test_an_application_does_not_clear_the_site_or_claim_it(alice: Browserless) -> None:
    answer = alice.go(
        "user/alice/"
        + told(
            "x",
            'Clear-Site-Data: "cookies", "storage"',
            "Service-Worker-Allowed: /",
            "X-JupyterHub-Version: 0",
            "Connection: close, X-Hop",
            "X-Hop: 1",
            "X-Kept: 1",
        )
    )
    assert answer.headers["X-Kept"] == "1"
    assert {"clear-site-data", "service-worker-allowed", "x-hop"}.isdisjoint(answer.headers)
    assert answer.headers.get_list("x-jupyterhub-version") != ["0"]


def test_what_an_application_says_against_its_own_content_is_kept(alice: Browserless) -> None:
    """Files of people are shown by applications: their sandbox must reach the browser."""
    policy = "sandbox allow-scripts; default-src 'none'"
    kept = (
        f"Content-Security-Policy: {policy}",
        "Content-Security-Policy: frame-ancestors 'none'",
        "X-Content-Type-Options: nosniff",
        "Content-Disposition: attachment",
        "Cross-Origin-Opener-Policy: same-origin",
        "X-Frame-Options: DENY",
    )
    answer = alice.go("user/alice/" + told("x", *kept, kind="text/html", body="<script>1</script>"))
    # the proxy makes one line of two, which means the same
    assert answer.headers["content-security-policy"] == f"{policy}, frame-ancestors 'none'"
    for line in kept[2:]:
        name, _, value = line.partition(": ")
        assert answer.headers[name] == value
