"""Questions to the hub's API: who holds a token, a token for a code, activity, version.

Run as the person signed in, with that person's rights. Where the hub is comes from the hub itself,
and one that was broken into could name any socket that the person may open, a container engine's
perhaps. So nothing is sent before the kernel has said that the hub's account listens there.

httpx is imported with the first question, not at start: a hub that only checks our health should
not wait for it. The hub's answers are parsed here and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import ssl
import struct
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode, urlsplit

from .errors import ConfigurationError, HubUnavailableError, LoginRefusedError
from .settings import Settings
from .visitors import Visitor, parse_visitor

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

TIMEOUT = 20.0
MAX_ANSWER = 4 * 1024 * 1024  # octets
_SENDABLE = re.compile(r"[!-~]*")
_CONNECTED = "connection.connect_unix_socket.complete"  # httpx tells it before it sends anything
_UCRED = struct.Struct("iII")  # pid, uid and gid: SO_PEERCRED in unix(7)


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where the API is: a Unix socket or TCP, and the URL to put into the request."""

    url: str
    socket_path: str | None

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @classmethod
    def parse(cls, api_url: str) -> HubAddress:
        """Accepts http://host:port/path and http+unix://%2Fpath%2Fto.sock/path."""
        parts = urlsplit(api_url)
        if parts.scheme == "http" and parts.netloc:
            return cls(url=api_url, socket_path=None)
        if parts.scheme == "http+unix" and unquote(parts.netloc).startswith("/"):
            return cls(url=f"http://hub{parts.path}", socket_path=unquote(parts.netloc))
        raise ConfigurationError(
            "JUPYTERHUB_API_URL must start with http:// or http+unix://%2F followed by a path."
        )


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    version: str


class Hub:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._address = HubAddress.parse(settings.api_url)
        self._opened: httpx.AsyncClient | None = None
        if settings.hub_uid is not None and self._address.socket_path is None:
            raise ConfigurationError(
                "JUPYTERHUB_API_URL must name a Unix socket: on a port nobody can tell who listens."
            )

    async def visitor(self, token: str) -> Visitor | None:
        """The holder of a token, None when the hub knows nobody. Raises HubUnavailableError."""
        answer = await self._ask("GET", "/user", token)
        if answer.status in {401, 403}:
            return None
        if answer.status != 200:
            raise HubUnavailableError(f"GET /user was answered with status {answer.status}")
        try:
            return parse_visitor(json.loads(answer.body))
        except (ValueError, RecursionError) as error:
            raise HubUnavailableError(f"GET /user was not understood: {error}") from None

    async def exchange(self, code: str, verifier: str) -> str:
        """The token for an authorisation code. Raises LoginRefusedError or HubUnavailableError."""
        form = {
            "client_id": self._settings.client_id,
            "client_secret": self._settings.api_token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.callback_url,
            "code_verifier": verifier,
        }
        answer = await self._ask(
            "POST",
            "/oauth2/token",
            self._settings.api_token,
            urlencode(form).encode(),
            "application/x-www-form-urlencoded",
        )
        if 400 <= answer.status < 500:
            raise LoginRefusedError(f"status {answer.status}")
        if answer.status != 200:
            raise HubUnavailableError(
                f"POST /oauth2/token was answered with status {answer.status}"
            )
        return _access_token(answer.body)

    async def post_activity(self, timestamp: str) -> None:
        """Tells when this server was last used (ISO 8601, UTC). Raises HubUnavailableError."""
        report = {
            "servers": {self._settings.server_name: {"last_activity": timestamp}},
            "last_activity": timestamp,
        }
        answer = await self._ask(
            "POST",
            urlsplit(self._settings.activity_url).path.removeprefix(self._address.path),
            self._settings.api_token,
            json.dumps(report).encode(),
            "application/json",
        )
        if answer.status >= 400:
            raise HubUnavailableError(
                f"the activity report was answered with status {answer.status}"
            )

    async def version(self) -> str:
        """What the hub calls its version, "" if nothing. Raises HubUnavailableError."""
        answer = await self._ask("GET", "", self._settings.api_token)
        if answer.status >= 500:
            raise HubUnavailableError(f"GET / was answered with status {answer.status}")
        return answer.version

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()

    async def _ask(
        self, method: str, path: str, token: str, body: bytes | None = None, content_type: str = ""
    ) -> Answer:
        import httpx

        if not _SENDABLE.fullmatch(token):
            raise HubUnavailableError("the question cannot be sent")
        headers = {"Authorization": f"token {token}"}
        if content_type:
            headers["Content-Type"] = content_type
        question = self._client().stream(
            method,
            self._address.url + path,
            content=body,
            headers=headers,
            extensions={"trace": self._check_listener},
        )
        try:
            async with asyncio.timeout(TIMEOUT), question as response:
                version = response.headers.get("X-JupyterHub-Version", "")[:100]
                return Answer(response.status_code, await _bounded(response), version)
        except (httpx.HTTPError, OSError) as error:  # TimeoutError included
            # The class alone: an error's text may hold the URL or a header.
            raise HubUnavailableError(f"no answer from the hub ({type(error).__name__})") from None

    async def _check_listener(self, event: str, told: dict[str, Any]) -> None:
        """See https://www.encode.io/httpcore/extensions/ for what is told when."""
        if event != _CONNECTED or self._settings.hub_uid is None:
            return
        stream = told["return_value"]
        raw = stream.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size
        )
        if _UCRED.unpack(raw)[1] != self._settings.hub_uid:
            await stream.aclose()
            raise HubUnavailableError("somebody else than the hub listens on the hub's socket")

    def _client(self) -> httpx.AsyncClient:
        if self._opened is None:
            self._opened = _open(self._address)
        return self._opened


async def _bounded(response: httpx.Response) -> bytes:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER:
            raise HubUnavailableError("the hub's answer has no end")
    return body


def _open(address: HubAddress) -> httpx.AsyncClient:
    """A client that keeps nothing between two questions: no connection and no cookie."""
    import httpx

    transport = httpx.AsyncHTTPTransport(
        uds=address.socket_path,
        limits=httpx.Limits(max_keepalive_connections=0),
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # never used, and quicker than the default
    )
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        transport=transport, cookies=no_cookies, timeout=TIMEOUT, trust_env=False
    )


def _access_token(body: bytes) -> str:
    try:
        model: object = json.loads(body)
    except (ValueError, RecursionError):
        raise HubUnavailableError("the answer to POST /oauth2/token is not JSON") from None
    token = model.get("access_token") if isinstance(model, dict) else None
    if not isinstance(token, str) or not token:
        raise HubUnavailableError("the answer to POST /oauth2/token holds no token")
    return token


async def check_hub(hub: Hub, own_version: str, *, attempts: int = 5) -> None:
    """Asks the hub once for its version and logs what an administrator should know."""
    for attempt in range(1, attempts + 1):
        try:
            version = await hub.version()
        except HubUnavailableError as error:
            log.warning("The hub did not answer (attempt %d of %d): %s", attempt, attempts, error)
            if attempt < attempts:
                await asyncio.sleep(min(2**attempt, 16))
        else:
            _compare_versions(version, own_version)
            return
    log.error(
        "The hub cannot be reached from %s: nobody can sign in here until it answers.",
        socket.gethostname(),
    )


def _compare_versions(hub_version: str, own_version: str) -> None:
    if not hub_version:
        log.warning("The hub does not say its version; JupyterHub 6 is expected.")
    elif hub_version.partition(".")[0] != own_version.partition(".")[0]:
        log.warning(
            "The hub runs JupyterHub %s, this server was made for %s: signing in may fail.",
            hub_version,
            own_version or "6",
        )
