"""Our own addresses as a FastAPI application: health, sign-in, sign-out, home.

Run as the person signed in. The gate has parsed the request and checked the session before it
gets here, and leaves both in the ASGI scope.
"""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from .account import OwnAccount
from .errors import AmbiguousSessionError, BadRequestError, HubUnavailableError
from .filesystem import FileSystem
from .home import HomePage
from .menu import Menu
from .pages import html_headers, json_headers
from .replies import Reply, for_error, hub_version, refusal
from .request import REQUEST_KEY, SESSION_KEY, Incoming
from .sessions import Session
from .settings import Settings
from .signin import SignIn
from .signing import Signer
from .xsrf import token_for


# Coroutines, since FastAPI would take a thread for each of them otherwise: an account that may not
# have one more is still to be told so.
async def incoming(request: Request) -> Incoming:
    value: Incoming = request.scope[REQUEST_KEY]
    return value


async def signed_in(request: Request) -> Session:
    value: Session = request.scope[SESSION_KEY]
    return value


Asked = Annotated[Incoming, Depends(incoming)]
Visiting = Annotated[Session, Depends(signed_in)]


def own_application(
    settings: Settings, signin: SignIn, account: OwnAccount, menu: Menu, signer: Signer
) -> FastAPI:
    page = HomePage(settings, account, menu, FileSystem())
    own = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for kind in (AmbiguousSessionError, BadRequestError, HubUnavailableError):
        own.add_exception_handler(kind, _refuse)

    @own.api_route("/api", methods=["GET", "HEAD"])
    async def health() -> Reply:
        """The hub waits for this one; it says nothing that a stranger may not know."""
        return Reply(200, json_headers(), json.dumps({"version": hub_version()}).encode())

    @own.get("/oauth_callback")
    async def oauth_callback(asked: Asked) -> Reply:
        return await signin.callback(asked)

    @own.get("/logout")
    async def logout(asked: Asked) -> Reply:
        return signin.logout(asked)

    @own.api_route("/", methods=["GET", "HEAD"])
    async def home(visiting: Visiting) -> Reply:
        body = await page.render(visiting.visitor.label, token_for(signer, visiting))
        return Reply(200, html_headers(), body)

    @own.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    async def nothing(asked: Asked) -> Reply:
        return refusal(asked, 404, "Not found", "There is nothing at this address.")

    return own


async def _refuse(request: Request, error: Exception) -> Reply:
    return for_error(await incoming(request), error)
