"""The addresses that answer without a session: the way into one, and the way out.

Run as the person signed in, on requests of strangers.
"""

from __future__ import annotations

import logging
import re

from .cookies import XSRF_COOKIE, cleared_cookie, session_cookie, xsrf_cookie
from .errors import AmbiguousSessionError, HubUnavailableError, LoginRefusedError
from .exchanges import Exchanges
from .logins import Logins, PendingLogin, local_url
from .pages import Link
from .replies import Reply, redirect, refusal
from .request import Incoming
from .sessions import Credential, Sessions, session_id
from .settings import Settings
from .signing import Signer
from .xsrf import token_for

log = logging.getLogger(__name__)

_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


class SignIn:
    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        logins: Logins,
        signer: Signer,
        exchanges: Exchanges,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._logins = logins
        self._signer = signer
        self._exchanges = exchanges

    def begin(self, request: Incoming) -> Reply:
        url, cookies = self._logins.begin(request)
        return redirect(url, cookies)

    async def callback(self, request: Incoming) -> Reply:
        """Where the hub sends the browser back to."""
        state, code = request.parameter("state"), request.parameter("code")
        if request.parameter("error"):
            return self._refused_by_hub(request)
        if not state or not code:
            return self._again(request, 400, "The address is incomplete.")
        pending = self._logins.finish(request, state)
        if pending is None:
            return await self._stale(request)
        try:
            return await self._complete(request, state, code, pending)
        except LoginRefusedError as error:
            log.warning("The hub refused an authorisation code: %s.", error)
            return self._again(request, 403, "The hub did not accept this sign-in.")

    def logout(self, request: Incoming) -> Reply:
        """Ends the session here, in every tab, then at the hub."""
        try:
            credential = self._sessions.cookie_credential(request)
        except AmbiguousSessionError:
            credential = None
        if credential is not None:
            self._sessions.end(credential.token_hash)
            self._exchanges.end_session(credential.token_hash, credential.session_id)
        settings = self._settings
        cookies = [
            cleared_cookie(settings, request, settings.session_cookie, settings.cookie_path),
            cleared_cookie(settings, request, XSRF_COOKIE, settings.prefix),
        ]
        return redirect(settings.logout_url, cookies)

    async def _complete(
        self, request: Incoming, state: str, code: str, pending: PendingLogin
    ) -> Reply:
        token = await self._sessions.token_for_code(code, pending.verifier)
        credential = Credential(token, session_id(request), "cookie")
        session = await self._sessions.open(credential, fresh=True)
        if session is None:
            raise HubUnavailableError("the hub does not know the token that it has just given")
        log.info("%s signed in.", session.visitor.log_name)
        cookies = [
            self._logins.forget_cookie(request, state),
            session_cookie(self._settings, request, self._sessions.signed(token)),
            xsrf_cookie(self._settings, request, token_for(self._signer, session)),
        ]
        return redirect(local_url(pending.next_url, self._settings.prefix), cookies)

    async def _stale(self, request: Incoming) -> Reply:
        """A reload of the address, or a second tab that was slower."""
        session = await self._sessions.session(request)
        if session is not None:
            return redirect(self._settings.prefix)
        return self._again(
            request, 403, "This sign-in is too old, was used before, or began in another browser."
        )

    def _refused_by_hub(self, request: Incoming) -> Reply:
        error = request.parameter("error")
        code = error if _ERROR_CODE.fullmatch(error) else "unknown"
        log.info("The hub ended a sign-in: %s.", code)
        return self._again(request, 400, f"The hub ended the sign-in ({code}).")

    def _again(self, request: Incoming, status: int, sentence: str) -> Reply:
        link = Link("Sign in again", self._settings.prefix)
        return refusal(request, status, "Signing in did not work", sentence, [link])
