"""Signing in with the hub: OAuth 2 authorisation code, PKCE S256, one-time state.

Run as the person signed in. What belongs to a login under way is kept in the browser that began
it: the way back in a cookie, signed under the state, so a code cannot be slipped into another
browser. The verifier of PKCE is kept nowhere, because it follows from the state and the server's
key. So there is nothing here that strangers could fill up or push out.
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
MAX_USED = 10_000  # states; see `_use`
# All of it travels with every request to this server until the logins are over or too old.
MAX_COOKIES = 10
MAX_COOKIES_SIZE = 8 * 1024
MAX_WAY_BACK = 2000


@dataclass(frozen=True, slots=True)
class PendingLogin:
    next_url: str
    verifier: str = field(repr=False)


class Logins:
    def __init__(
        self, settings: Settings, signer: Signer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._signer = signer
        self._clock = clock
        self._used: OrderedDict[bytes, float] = OrderedDict()

    def begin(self, request: Incoming) -> tuple[str, list[bytes]]:
        """The hub's address to send the browser to, and the cookies to set on the way."""
        state = secrets.token_urlsafe(24)
        query = {
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.callback_url,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge(self._verifier(state)),
            "code_challenge_method": "S256",
        }
        name = self._cookie_name(state)
        signed = self._signer.sign(_purpose(state), way_back(request, self._settings.prefix))
        cookies = self._clear_surplus(request, MAX_COOKIES_SIZE - len(name) - len(signed))
        cookies.append(state_cookie(self._settings, request, name, signed, max_age=MAX_AGE))
        return f"{self._settings.authorize_url}?{urlencode(query)}", cookies

    def finish(self, request: Incoming, state: str) -> PendingLogin | None:
        """The login that this browser began under `state`. Works once, within ten minutes."""
        for value in request.cookies.get(self._cookie_name(state), []):
            next_url = self._signer.verify(_purpose(state), value, MAX_AGE)
            if next_url is not None:
                return PendingLogin(next_url, self._verifier(state)) if self._use(state) else None
        return None

    def forget_cookie(self, request: Incoming, state: str) -> bytes:
        name = self._cookie_name(state)
        return cleared_cookie(self._settings, request, name, self._settings.cookie_path)

    def _use(self, state: str) -> bool:
        """False for a state that was used before.

        Only what has a good cookie gets here. Who makes enough of those to push an older one out
        has still won nothing: the hub takes a code once, and only with this state's verifier.
        """
        now = self._clock()
        while self._used and next(iter(self._used.values())) < now:
            self._used.popitem(last=False)
        digest = hashlib.sha256(state.encode()).digest()
        if digest in self._used:
            return False
        self._used[digest] = now + MAX_AGE
        if len(self._used) > MAX_USED:
            self._used.popitem(last=False)
        return True

    def _verifier(self, state: str) -> str:
        return self._signer.derive("verifier of a login", state)

    def _cookie_name(self, state: str) -> str:
        """One cookie per login, so that several tabs can sign in at once."""
        return f"{self._cookie_stem}{hashlib.sha256(state.encode()).hexdigest()[:12]}"

    @property
    def _cookie_stem(self) -> str:
        return f"{self._settings.session_cookie}-oauth-state-"

    def _clear_surplus(self, request: Incoming, room: int) -> list[bytes]:
        """Removes the oldest cookies of logins when they pile up in number or size."""
        names = [name for name in request.cookies if name.startswith(self._cookie_stem)]
        names.sort(key=lambda name: _made(request.cookies[name]), reverse=True)
        cleared = []
        for number, name in enumerate(names, start=2):
            room -= len(name) + sum(len(value) for value in request.cookies[name])
            if room < 0 or number > MAX_COOKIES:
                cleared.append(name)
        path = self._settings.cookie_path
        clear = [cleared_cookie(self._settings, request, name, path) for name in cleared]
        return clear[-MAX_COOKIES:]  # the rest next time: a proxy takes only so many headers


def challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def way_back(request: Incoming, prefix: str) -> str:
    """Where to go after the sign-in; an address too long for a cookie loses its query."""
    target = local_url(request.target, prefix)
    if len(target) > MAX_WAY_BACK:
        target = target.partition("?")[0]
    return target if len(target) <= MAX_WAY_BACK else prefix


def local_url(target: str, fallback: str) -> str:
    """`target` when it is a plain path on this site, otherwise `fallback`.

    Browsers read `//host` and `/\\host` as another site and drop tabs and line ends first.
    """
    printable = all("!" <= char <= "~" for char in target)
    if not printable or "\\" in target or not target.startswith("/") or target.startswith("//"):
        return fallback
    return target


def _purpose(state: str) -> str:
    """What a cookie is signed for. The state itself is in the address and not in the cookie."""
    return f"login under way {state}"


def _made(values: list[str]) -> int:
    """When a signed value says that it was made: unchecked, good for sorting and for no more."""
    digits = values[0].partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else 0
