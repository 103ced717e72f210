"""What stands around the server in these tests: a small hub, and an application that misbehaves.

Both are real HTTP servers on Unix sockets. Used by the tests of this folder only.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from unixspawner_singleuser.catalogue import Application, Catalogue, Upstream
from unixspawner_singleuser.settings import Settings, from_environment

ACCESS = "access:servers!server=alice/"
PREFIX = "/@/my%20lab/user/alice/"
HOST = "lab.example"


@dataclass
class FakeHub:
    """Knows tokens and codes, counts what it is asked, and can be broken."""

    tokens: dict[str, dict[str, object]] = field(default_factory=dict)
    codes: dict[str, tuple[str, str]] = field(default_factory=dict)  # code -> (token, challenge)
    asked: list[str] = field(default_factory=list)
    activity: list[object] = field(default_factory=list)
    status: int = 200

    def admit(self, name: str, *scopes: str) -> str:
        token = f"token-{len(self.tokens)}-planted-by-the-hub"
        self.tokens[token] = {"name": name, "kind": "user", "scopes": list(scopes), "groups": []}
        return token

    async def root(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "6"}, headers={"X-JupyterHub-Version": "6.1.1"})

    async def user(self, request: web.Request) -> web.Response:
        self.asked.append("user")
        if self.status != 200:
            return web.Response(status=self.status)
        token = request.headers["Authorization"].removeprefix("token ")
        if token not in self.tokens:
            return web.Response(status=403)
        return web.json_response(self.tokens[token])

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append("token")
        token, challenge = self.codes.pop(str(form["code"]), ("", ""))
        verifier = str(form["code_verifier"]).encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        authentic = form["client_id"] == "jupyterhub-user-alice" and digest == challenge
        if not token or not authentic or form["client_secret"] != "secret-of-this-server":
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": token})

    async def activities(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status)
        self.activity.append(await request.json())
        return web.Response()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/hub/api", self.root)
        app.router.add_get("/hub/api/user", self.user)
        app.router.add_post("/hub/api/oauth2/token", self.token)
        app.router.add_post("/hub/api/users/alice/activity", self.activities)
        return app


@dataclass
class FakeUpstream:
    """Echoes what arrives. Each path of `/bad/...` is wrong in its own way."""

    seen: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    close_code: int | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        self.seen.append(request.raw_path)
        handlers = {
            "/sse": self.events,
            "/slow": self.slow,
            "/big": self.big,
            "/count": self.count,
            "/cookies": self.cookies,
            "/ws": self.websocket,
            "/bad/short": self.short,
            "/early": self.early,
        }
        return await handlers.get(path, self.echo)(request)

    async def echo(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {
                "method": request.method,
                "target": request.raw_path,
                "headers": [[k.decode(), v.decode("latin-1")] for k, v in request.raw_headers],
                "body": (await request.read()).decode("latin-1"),
            }
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        try:
            await asyncio.sleep(60)
        finally:
            self.left.set()
        return response

    async def slow(self, request: web.Request) -> web.StreamResponse:
        try:
            await asyncio.sleep(60)
        finally:
            self.left.set()
        return web.Response()

    async def big(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = int(request.query["size"])
        await response.prepare(request)
        for _ in range(response.content_length // 65536):
            await response.write(b"x" * 65536)
        return response

    async def count(self, request: web.Request) -> web.StreamResponse:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.json_response(size)

    async def cookies(self, request: web.Request) -> web.StreamResponse:
        response = web.Response()
        response.headers.add("Set-Cookie", "a=1; Path=/")
        response.headers.add("Set-Cookie", "b=2; Expires=Wed, 09 Jun 2032 10:18:14 GMT")
        response.headers.add("Set-Cookie", "jupyterhub-user-alice=stolen")
        response.headers.add("Set-Cookie", "_xsrf=stolen")
        response.headers["Connection"] = "X-Hop"
        response.headers["X-Hop"] = "1"
        return response

    async def short(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"only this")
        assert request.transport is not None
        request.transport.close()
        return response

    async def early(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=413, text="too large")

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("v2", "v1"))
        await socket.prepare(request)
        async for message in socket:
            if message.data == "close":
                await socket.close(code=4001, message=b"as you wish")
            elif message.data == "vanish":
                assert request.transport is not None
                request.transport.abort()
            elif message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        self.close_code = socket.close_code
        self.left.set()
        return socket

    def application(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app


@asynccontextmanager
async def listening(app: web.Application, path: Path) -> AsyncIterator[None]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()


def settings(directory: Path, **changes: str) -> Settings:
    return from_environment(environment(directory) | changes)


def environment(directory: Path) -> dict[str, str]:
    """What the hub sets, for a hub that listens in `directory`."""
    api = f"http+unix://{quote(str(directory / 'hub.sock'), safe='')}/hub/api"
    return {
        "JUPYTERHUB_API_TOKEN": "secret-of-this-server",
        "JUPYTERHUB_API_URL": api,
        "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/alice/activity",
        "JUPYTERHUB_BASE_URL": "/@/my%20lab/",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-alice",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": f'["{ACCESS}", "access:servers!user=alice"]',
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_USER": "alice",
    }


def catalogue(directory: Path) -> Catalogue:
    upstream = Upstream(socket_path=str(directory / "app.sock"))
    return Catalogue((Application("notes", "Notes & <b>more</b>", "", True, upstream),))


class Browser:
    """Keeps cookies as a browser does, over the server's socket, and follows nothing by itself."""

    def __init__(self, socket_path: Path, hub: FakeHub) -> None:
        self._hub = hub
        self.cookies: dict[str, str] = {"jupyterhub-session-id": "session-1"}
        self.client = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(socket_path)),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Host": HOST, "Sec-Fetch-Mode": "navigate"},
            auto_decompress=False,
        )

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        return await self.request("GET", path, **headers)

    async def request(
        self, method: str, path: str, *, data: object = None, **headers: str
    ) -> aiohttp.ClientResponse:
        response = await self.client.request(
            method,
            address(path),
            data=data,
            headers=self.headers(headers),
            allow_redirects=False,
        )
        for line in response.headers.getall("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if value and "Max-Age=0" not in line:
                self.cookies[name] = value
        return response

    def headers(self, changes: dict[str, str]) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie} if cookie else {}
        return headers | {name.replace("_", "-"): value for name, value in changes.items()}

    async def open(self, path: str, **headers: str) -> aiohttp.ClientWebSocketResponse[bool]:
        own = {"Origin": f"http://{HOST}", "Sec-Fetch-Mode": "websocket"}
        return await self.client.ws_connect(
            address(path), headers=self.headers(own | headers), protocols=("v1", "other")
        )

    def approve(self, location: str, token: str) -> str:
        """Plays the hub's part of a sign-in; returns the path that it sends the browser to."""
        query = parse_qs(urlsplit(location).query)
        assert query["code_challenge_method"] == ["S256"]
        self._hub.codes["code-1"] = (token, query["code_challenge"][0])
        return f"{query['redirect_uri'][0]}?code=code-1&state={query['state'][0]}"

    async def sign_in(self, token: str, path: str = PREFIX) -> aiohttp.ClientResponse:
        first = await self.get(path)
        assert first.status == 302
        return await self.get(self.approve(first.headers["Location"], token))


def address(path: str) -> URL:
    raw, _, query = path.partition("?")
    return URL.build(scheme="http", host="server", path=raw, query_string=query, encoded=True)
