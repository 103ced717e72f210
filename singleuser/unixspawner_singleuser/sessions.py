"""From a request to a session: credentials, the signed session cookie, and the hub's word cached.

Run as the person signed in. A credential is a hub token, found in a header, in the URL where that
is allowed, or in our signed cookie. What the hub said about it is believed for five minutes, per
hub session and token.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from .cookies import SESSION_ID_COOKIE
from .errors import AmbiguousSessionError
from .hub import Hub
from .request import Incoming
from .settings import Settings
from .signing import Signer, fingerprint
from .visitors import Visitor, may_access

MAX_AGE = 300.0
MAX_AGE_UNKNOWN = 30.0
MAX_ENTRIES = 1000

_AUTHORIZATION = re.compile(r"(?:token|bearer)\s+(\S+)\s*", re.IGNORECASE | re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")

Source = Literal["header", "url", "cookie", "none"]


@dataclass(frozen=True, slots=True)
class Credential:
    token: str = field(repr=False)
    session_id: str = field(repr=False)
    source: Source

    @property
    def token_hash(self) -> str:
        return fingerprint(self.token)


@dataclass(frozen=True, slots=True)
class Session:
    """A visitor whom the hub knows. `allowed` says whether this server is open to him."""

    visitor: Visitor
    allowed: bool
    source: Source
    session_id: str = field(default="", repr=False)
    token_hash: str = field(default="", repr=False)
    credential: Credential | None = None


class VisitorCache:
    """Bounded memory of the hub's answers, and one question at a time per credential."""

    def __init__(self, hub: Hub, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, Visitor | None]] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[Visitor | None]] = {}

    async def visitor(self, credential: Credential, *, fresh: bool = False) -> Visitor | None:
        """Raises HubUnavailableError; nothing is remembered then."""
        key = (credential.session_id, credential.token_hash)
        known = self._known.get(key)
        if known is not None and known[0] > self._clock() and not fresh:
            return known[1]
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, credential.token))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._answered(key, done))
        # A visitor who leaves must not cancel the question that others wait for.
        return await asyncio.shield(task)

    def _answered(self, key: tuple[str, str], task: asyncio.Task[Visitor | None]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, also when everybody who waited for it has left

    def forget(self, token_hash: str) -> None:
        for key in [key for key in self._known if key[1] == token_hash]:
            del self._known[key]

    def forget_all(self) -> None:
        """Everybody is asked about again with the next request."""
        self._known.clear()

    async def _ask(self, key: tuple[str, str], token: str) -> Visitor | None:
        visitor = await self._hub.visitor(token)
        age = MAX_AGE if visitor else MAX_AGE_UNKNOWN
        self._known[key] = (self._clock() + age, visitor)
        self._known.move_to_end(key)
        while len(self._known) > MAX_ENTRIES:
            self._known.popitem(last=False)
        return visitor


class Sessions:
    def __init__(self, settings: Settings, hub: Hub, signer: Signer) -> None:
        self._settings = settings
        self._signer = signer
        self._hub = hub
        self._cache = VisitorCache(hub)
        self._ended: OrderedDict[str, None] = OrderedDict()

    async def session(self, request: Incoming) -> Session | None:
        """The session of a request, None for a stranger. Raises what `visitor` and cookies do."""
        for credential in self._credentials(request):
            session = await self.open(credential)
            if session is not None:
                return session
        return None

    async def open(self, credential: Credential, *, fresh: bool = False) -> Session | None:
        if credential.source == "cookie" and credential.token_hash in self._ended:
            return None
        visitor = await self._cache.visitor(credential, fresh=fresh)
        if visitor is None:
            return None
        return Session(
            visitor=visitor,
            allowed=may_access(visitor, self._settings.access_scopes),
            source=credential.source,
            session_id=credential.session_id,
            token_hash=credential.token_hash,
            credential=credential,
        )

    async def token_for_code(self, code: str, verifier: str) -> str:
        """Raises LoginRefusedError or HubUnavailableError."""
        return await self._hub.exchange(code, verifier)

    def end(self, token_hash: str) -> None:
        """After a logout the cookie is dead here, whatever becomes of it in the browser."""
        self._cache.forget(token_hash)
        self._ended[token_hash] = None
        while len(self._ended) > MAX_ENTRIES:
            self._ended.popitem(last=False)

    def forget_all(self) -> None:
        """The hub is asked again about everybody."""
        self._cache.forget_all()

    def cookie_credential(self, request: Incoming) -> Credential | None:
        """The one signed session cookie. Raises AmbiguousSessionError when there are several.

        Another server of the same site can set a cookie for our path. It cannot sign one, so
        unsigned copies are ignored; two good ones mean that somebody else's session was slipped
        in, and then neither is taken.
        """
        name = self._settings.session_cookie
        values = request.cookies.get(name, [])
        tokens = {self._signer.verify(name, value) for value in values} - {None}
        if len(tokens) > 1:
            raise AmbiguousSessionError
        token = tokens.pop() if tokens else None
        return Credential(token, session_id(request), "cookie") if token else None

    def signed(self, token: str) -> str:
        """The value of the session cookie that holds a token."""
        return self._signer.sign(self._settings.session_cookie, token)

    def _credentials(self, request: Incoming) -> Iterator[Credential]:
        header = request.fields.get(b"authorization", [])
        match = _AUTHORIZATION.fullmatch(header[0].decode("latin-1")) if len(header) == 1 else None
        if match and _TOKEN.fullmatch(match[1]):
            yield Credential(match[1], session_id(request), "header")
        if self._settings.allow_token_in_url or request.websocket:
            token = request.parameter("token")
            if _TOKEN.fullmatch(token):
                yield Credential(token, session_id(request), "url")
        if self._settings.allow_websocket_cookie or not request.websocket:
            credential = self.cookie_credential(request)
            if credential:
                yield credential


def session_id(request: Incoming) -> str:
    """The hub's session id. Only a key of caches: it proves nothing, and duplicates are kept."""
    return " ".join(sorted(set(request.cookies.get(SESSION_ID_COOKIE, []))))
