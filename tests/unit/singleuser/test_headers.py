"""Who may say what in a header: claims of identity, cookies and tokens stop at the gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import ACCESS, PREFIX, Browser, FakeHub, FakeUpstream, settings
from tests.unit.singleuser.raw import (
    OK,
    Reader,
    Writer,
    answering,
    application,
    connection,
    head,
)

from unixspawner_singleuser import impersonation
from unixspawner_singleuser.headers import application_cookies, is_hub_cookie, response_headers
from unixspawner_singleuser.impersonation import speaks_for_identity
from unixspawner_singleuser.rewriting import Place
from unixspawner_singleuser.settings import Settings

# What proxies in the wild tell the applications behind them, each by the names that it documents.
TOLD_BY_PROXIES = {
    "ours": "X-Forwarded-User X-Forwarded-Uid X-Forwarded-Groups X-Forwarded-Prefix"
    " X-Forwarded-Visitor X-Unixspawner-Anything",
    "CGI": "Remote-User REMOTE_USER remote_user Remote_User X-Remote-User X_REMOTE_USER"
    " X-Remote-Group X-Remote-Extra-Scopes Auth-User AUTH_USER Proxy",
    "OAuth2 Proxy": "X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Groups"
    " X-Auth-Request-Preferred-Username X-Auth-Request-Access-Token X-Forwarded-Email"
    " X-Forwarded-Preferred-Username X-Forwarded-Access-Token",
    "authentik": "X-authentik-username X-authentik-groups X-authentik-email X-authentik-uid"
    " X-authentik-jwt X-authentik-meta-app",
    "Authelia": "Remote-User Remote-Groups Remote-Name Remote-Email",
    "Cloudflare Access": "Cf-Access-Authenticated-User-Email Cf-Access-Jwt-Assertion",
    "Google": "X-Goog-IAP-JWT-Assertion X-Goog-Authenticated-User-Email"
    " X-Goog-Authenticated-User-ID X-Endpoint-API-UserInfo X-Apigateway-Api-Userinfo"
    " X-Appengine-User-Email",
    "AWS": "X-Amzn-Oidc-Identity X-Amzn-Oidc-Data X-Amzn-Oidc-Accesstoken"
    " X-Amzn-Mtls-Clientcert-Subject",
    "Azure": "X-MS-CLIENT-PRINCIPAL X-MS-CLIENT-PRINCIPAL-NAME X-MS-CLIENT-PRINCIPAL-ID"
    " X-MS-TOKEN-AAD-ID-TOKEN X-ARR-ClientCert",
    "Tailscale": "Tailscale-User-Login Tailscale-User-Name Tailscale-User-Profile-Pic",
    "certificates": "SSL_CLIENT_S_DN Ssl-Client-Verify X-SSL-Client-CN X-SSL-Cert X-Client-Cert"
    " X-Client-Cert-Dn X-Client-Dn X-Client-I-Dn X-Client-Subject X-TLS-Client-CN"
    " X-Client-Verify X-Client-S-DN Client-Cert Client-Cert-Chain"
    " X-Forwarded-Client-Cert X-Forwarded-Tls-Client-Cert-Info",
    "others": "X-Webauth-User X-Pomerium-Jwt-Assertion X-Vouch-User Shib-Identity-Provider eppn"
    " MELLON_NAME_ID OIDC_CLAIM_email SM_USER SMUSER iv-user OAM_REMOTE_USER X-Consumer-Username"
    " X-Authenticated-Userid X-RStudio-Username Shiny-Server-Credentials X-SP-UserId X-Proxy-User"
    " X-Auth-User X-Auth-Username X-Auth-Userid X-Auth-Subject X-Auth-Name X-Auth-Email"
    " X-Auth-Groups X-Auth-Roles X-User X-Username X-User-Name X-User-Email X-User-Groups"
    " X-User-Roles X-Email X-Groups X-Userinfo kubeflow-userid X-Proxy-Roles"
    " X-Credential-Identifier"
    " es-security-runas-user iv-groups iv-creds Rstudio-Connect-Credentials CAS-User"
    " Teleport-Jwt-Assertion X-Teleport-Login X-Authelia-User X-OIDC-Email X-Shib-User"
    " X-Tailscale-User",
    "paths": "X-Script-Name X-Forwarded-Prefix X-Forwarded-Path X-Forwarded-Uri",
    # what a server that turns every sign into _ takes for one of the others
    "other spellings": "x.forwarded.user X!Remote!User x_forwarded_for x_forwarded_proto"
    " x_real_ip content_length Transfer_Encoding proxy_authorization x_xsrftoken",
}
PASS = (
    "User-Agent Accept Accept-Language Cookie2 If-None-Match Range Origin Referer X-Requested-With"
    " X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Real-IP Forwarded Via"
    " X-Auth-Token X-Access-Token X-API-Key X-User-Agent X-CSRFToken X-XSRFToken x_custom X-Custom"
    " Content-Type Content-Length Content-Encoding Sec-Fetch-Mode DNT X-Authors Remote SSL"
)


@pytest.mark.parametrize("name", " ".join(TOLD_BY_PROXIES.values()).split())
def test_these_headers_speak_for_identity(name: str) -> None:
    for spelling in (name, name.lower(), name.upper(), name.replace("-", "_")):
        assert speaks_for_identity(spelling.encode()), spelling


@pytest.mark.parametrize("name", PASS.split())
def test_these_do_not(name: str) -> None:
    for spelling in (name, name.lower()):
        assert not speaks_for_identity(spelling.encode())


def test_every_entry_of_the_list_is_one_that_a_test_names() -> None:
    """So that an entry is there for a reason, and none is lost unnoticed."""
    named = [name.lower().replace("_", "-").encode() for name in _all_names()]
    assert impersonation.NAMES.difference(named) == set()
    without = [s for s in impersonation.STEMS if not any(name.startswith(s) for name in named)]
    assert without == []


def _all_names() -> list[str]:
    return " ".join(TOLD_BY_PROXIES.values()).split()


async def seen_by(answer: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in (await answer.json())["headers"]]


async def test_none_of_them_reaches_the_application_in_any_spelling_or_number(
    alice: Browser, directory: Path
) -> None:
    names = [n for name in _all_names() for n in (name, name.lower(), name.replace("-", "_"))]
    lines = [f"{name}: forged" for name in names if name.lower() not in {"content_length"}]
    async with connection(directory) as (reader, writer):
        writer.write(head(alice, "GET", "x", *lines, *lines, "Connection: close"))
        answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"forged" not in answer


# Framing


@pytest.mark.parametrize("named", ["content-length", "Content-Length, Host", "host"])
async def test_connection_cannot_take_away_what_frames_a_request(
    alice: Browser, directory: Path, named: str
) -> None:
    """A body whose length is not passed on would be the application's next request."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: h\r\nX-Forwarded-User: root\r\n\r\n"
    received = bytearray()

    async def serve(reader: Reader, writer: Writer) -> None:
        begin = await reader.readuntil(b"\r\n\r\n")
        received.extend(begin + await reader.readexactly(len(smuggled)))
        writer.write(OK)

    lines = (f"Content-Length: {len(smuggled)}", f"Connection: close, {named}")
    async with application(directory, serve), connection(directory) as (reader, writer):
        writer.write(head(alice, "POST", "x", *lines) + smuggled)
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 200 ")
    assert f"\r\ncontent-length: {len(smuggled)}\r\n".encode() in received
    assert received.count(b"\r\nhost: ") == 1


# Our own token


CARRIERS = ("X-XSRFToken", "X-CSRFToken")


@pytest.mark.parametrize("header", CARRIERS)
async def test_our_token_in_a_header_stops_here(alice: Browser, header: str) -> None:
    token = alice.cookies["_xsrf"]
    for spelling in (header, header.lower(), header.upper(), header.replace("-", "_")):
        seen = await seen_by(await alice.get(PREFIX + "x", **{spelling: token}))
        assert token not in str(seen)


@pytest.mark.parametrize("header", CARRIERS)
async def test_a_token_of_the_application_passes_beside_ours(
    alice: Browser, directory: Path, header: str
) -> None:
    token = alice.cookies["_xsrf"]
    lines = (f"{header}: theirs", "Connection: close")  # ours is in `head`
    async with connection(directory) as (reader, writer):
        writer.write(head(alice, "POST", "x", *lines, "Content-Length: 0"))
        answer = (await asyncio.wait_for(reader.read(), 5)).decode()
    assert answer.startswith("HTTP/1.1 200 ")
    assert f'["{header.lower()}", "theirs"]' in answer.replace(header, header.lower())
    assert token not in answer


@pytest.mark.parametrize(
    ("query", "passed_on"),
    [
        ("_xsrf={}", ""),
        ("a=%2f&_xsrf={}&b=+", "?a=%2f&b=+"),
        ("_xsrf={}&_xsrf=theirs&_xsrf={}", "?_xsrf=theirs"),
        ("x_xsrf={}", "?x_xsrf={}"),
        ("_xsrf=theirs", "?_xsrf=theirs"),
        ("&&_xsrf={}&&", "?&&&"),
    ],
)
async def test_our_token_in_the_address_stops_here(
    alice: Browser, query: str, passed_on: str
) -> None:
    token = alice.cookies["_xsrf"]
    answer = await alice.get(f"{PREFIX}x?{query.replace('{}', token)}")
    assert (await answer.json())["target"] == "/x" + passed_on.replace("{}", token)


async def test_an_escaped_token_is_ours_as_well(alice: Browser) -> None:
    token = alice.cookies["_xsrf"]
    escaped = f"_xsrf=%{ord(token[0]):02x}{token[1:]}"
    answer = await alice.request("POST", f"{PREFIX}x?{escaped}")
    assert (answer.status, (await answer.json())["target"]) == (200, "/x")


async def test_our_token_does_not_open_a_websocket_address_either(
    alice: Browser, upstream: FakeUpstream
) -> None:
    socket = await alice.open(f"{PREFIX}ws?_xsrf={alice.cookies['_xsrf']}&a=1")
    await socket.close()
    assert upstream.seen == ["/ws?a=1"]


@pytest.mark.parametrize(
    ("referer", "passed_on"),
    [
        ("http://lab.example/user/alice/?a=1", "http://lab.example/user/alice/?a=1"),
        ("http://lab.example/user/alice/?a=1&token=secret", "http://lab.example/user/alice/"),
        ("http://lab.example/user/alice/?_xsrf=secret", "http://lab.example/user/alice/"),
    ],
)
async def test_an_address_before_keeps_its_token_to_itself(
    alice: Browser, referer: str, passed_on: str
) -> None:
    seen = await seen_by(await alice.get(PREFIX + "x", Referer=referer))
    assert dict(seen)["referer"] == passed_on


# Cookies


HOSTILE_PAIRS = (
    "_xsrf=1",
    "_XSRF=1",
    "_xsrf =1",
    "  _xsrf\t=1",
    "=_xsrf=1",
    "= _xsrf=1",
    "_xsrf",
    "jupyterhub-hub-login=1",
    "JupyterHub-Session-Id=1",
    "jupyterhub-user-bob=1",
    "me=1",
    "ME=1",
    "me-oauth-state-1=1",
    "__Host-me=1",
    "__host-jupyterhub-session-id=1",
    "__Host-anything=1",
    "__HOST-_xsrf=1",
    "__Secure-jupyterhub-x=1",
    '_xsrf="1"',
    "\xa0_xsrf=1",  # white space for Python, and so for the hub
    "=\x85_xsrf\xa0=1",
)
HARMLESS_PAIRS = ("a=1", "xsrf=1", "my_xsrf=1", "jupyter=1", "m=1", "__Secure-a=1", "", "a")


@pytest.mark.parametrize("pair", HOSTILE_PAIRS)
def test_a_cookie_of_ours_goes_to_no_application(pair: str) -> None:
    for header in (pair, f"a=1; {pair}", f'$Version=1; a="x; {pair}; b=y"'):
        left = application_cookies(header.encode("latin-1"), "me").decode("latin-1")
        assert left == header.replace(f"; {pair}", "").replace(pair, ""), header


def _place() -> Place:
    return Place(b"/user/alice/", ("user", "alice"), ("hub",), "me")


@pytest.mark.parametrize("pair", HOSTILE_PAIRS)
@pytest.mark.parametrize("attributes", ["", "; Path=/", "; Path=/hub/; Max-Age=0", ";;Secure"])
def test_no_application_sets_a_cookie_of_ours(pair: str, attributes: str) -> None:
    answer = [(b"set-cookie", (pair + attributes).encode("latin-1"))]
    assert response_headers(answer, _place(), frozenset()) == []


@pytest.mark.parametrize("pair", HARMLESS_PAIRS)
def test_other_cookies_are_the_applications_own(pair: str) -> None:
    answer = [(b"set-cookie", pair.encode())]
    assert response_headers(answer, _place(), frozenset()) == answer
    assert application_cookies(f"{pair}; _xsrf=1".encode(), "me") == pair.encode()


def test_without_a_session_cookie_not_every_cookie_is_ours() -> None:
    assert not is_hub_cookie("a", "")


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ("; Path=/", "; Path=/user/alice/"),
        ("; Path=/hub/", "; Path=/user/alice/hub/"),
        ("; PATH=/user/bob/", "; Path=/user/alice/user/bob/"),
        ("; path = /", "; Path=/user/alice/"),
        ("; Path=/user/alice/x", "; Path=/user/alice/x"),
        ("; Path=/user/alice", "; Path=/user/alice"),
        ("; Path=/user/alicexx", "; Path=/user/alice/user/alicexx"),
        ("; Path=/x; Path=/hub/", "; Path=/user/alice/x; Path=/user/alice/hub/"),
        ("; Domain=lab.example", ""),
        ("; domain =.example; Secure", "; Secure"),
        ("; Domain", ""),
    ],
)
def test_a_cookie_stays_on_this_host_and_below_the_prefix(attributes: str, kept: str) -> None:
    answer = response_headers([(b"set-cookie", f"a=1{attributes}".encode())], _place(), frozenset())
    assert [(name, value.replace(b" ", b"")) for name, value in answer] == [
        (b"set-cookie", f"a=1{kept}".replace(" ", "").encode())
    ]


async def test_many_cookies_of_an_application_arrive_and_ours_are_not_among_them(
    alice: Browser, directory: Path
) -> None:
    lines = b"".join(b"Set-Cookie: c%d=1\r\nSet-Cookie: _xsrf=%d\r\n" % (n, n) for n in range(50))
    answer = b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\nok"
    async with application(directory, answering(answer)):
        response = await alice.get(PREFIX + "x")
    assert response.headers.getall("Set-Cookie") == [f"c{n}=1" for n in range(50)]


class TestHostPrefix:
    """Where each person has a domain, our cookies are for the whole site: still ours alone."""

    @pytest.fixture
    def configured(self, directory: Path) -> Settings:
        return settings(directory, JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED="1")

    async def test_none_reaches_the_application(
        self, browser: Browser, hub: FakeHub, running: Running
    ) -> None:
        await browser.sign_in(hub.admit("alice", ACCESS))
        assert "__Host-jupyterhub-user-alice" in browser.cookies
        browser.cookies |= {"mine": "1", "__Host-jupyterhub-session-id": "s", "__Host-service": "s"}
        seen = dict(await seen_by(await browser.get(PREFIX + "x")))
        assert seen["cookie"] == "mine=1"
