"""Signing in with the hub: OAuth 2 authorisation code, PKCE S256, one-time state.

Run as the person signed in. What belongs to a login under way stays in memory here; the browser
holds only its name, in a signed cookie, so a code cannot be slipped into another browser.
https://datatracker.ietf.org/doc/html/rfc6749#section-4.1, rfc7636
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from .cookies import cleared_cookie, state_cookie
from .request import Incoming
from .settings import Settings
from .signing import Signer

MAX_AGE = 600
MAX_PENDING = 1000
MAX_COOKIES = 10


@dataclass(frozen=True, slots=True)
class PendingLogin:
    next_url: str
    verifier: str = field(repr=False)
    expires: float


class Logins:
    def __init__(
        self, settings: Settings, signer: Signer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._clock = clock
        self._pending: OrderedDict[str, PendingLogin] = OrderedDict()

    def begin(self, request: Incoming) -> tuple[str, list[bytes]]:
        """The hub's address to send the browser to, and the cookies to set on the way."""
        state = secrets.token_urlsafe(24)
        verifier = secrets.token_urlsafe(48)
        self._remember(state, request, verifier)
        query = {
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.callback_url,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        name = self._cookie_name(state)
        signed = self._signer.sign(name, state)
        cookies = self._clear_dead(request)
        cookies.append(state_cookie(self._settings, request, name, signed, max_age=MAX_AGE))
        return f"{self._settings.authorize_url}?{urlencode(query)}", cookies

    def finish(self, request: Incoming, state: str) -> PendingLogin | None:
        """The login that this browser began under `state`. Works once, within ten minutes."""
        name = self._cookie_name(state)
        values = request.cookies.get(name, [])
        if not any(self._signer.verify(name, value) == state for value in values):
            return None
        pending = self._pending.pop(state, None)
        if pending is None or pending.expires < self._clock():
            return None
        return pending

    def forget_cookie(self, request: Incoming, state: str) -> bytes:
        name = self._cookie_name(state)
        return cleared_cookie(self._settings, request, name, self._settings.cookie_path)

    def _remember(self, state: str, request: Incoming, verifier: str) -> None:
        self._pending[state] = PendingLogin(
            next_url=local_url(request.target, self._settings.prefix),
            verifier=verifier,
            expires=self._clock() + MAX_AGE,
        )
        while len(self._pending) > MAX_PENDING:
            self._pending.popitem(last=False)

    def _cookie_name(self, state: str) -> str:
        """One cookie per login, so that several tabs can sign in at once."""
        return f"{self._cookie_stem}{hashlib.sha256(state.encode()).hexdigest()[:12]}"

    @property
    def _cookie_stem(self) -> str:
        return f"{self._settings.session_cookie}-oauth-state-"

    def _clear_dead(self, request: Incoming) -> list[bytes]:
        """Removes cookies of logins that can no longer finish, and all when they pile up."""
        names = [name for name in request.cookies if name.startswith(self._cookie_stem)]
        alive = {self._cookie_name(state) for state in self._pending}
        keep = alive if len(names) < MAX_COOKIES else set()
        path = self._settings.cookie_path
        return [
            cleared_cookie(self._settings, request, name, path)
            for name in names
            if name not in keep
        ][:MAX_COOKIES]


def challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def local_url(target: str, fallback: str) -> str:
    """`target` when it is a plain path on this site, otherwise `fallback`.

    Browsers read `//host` and `/\\host` as another site and drop tabs and line ends first.
    """
    printable = all("!" <= char <= "~" for char in target)
    if not printable or "\\" in target or not target.startswith("/") or target.startswith("//"):
        return fallback
    return target
