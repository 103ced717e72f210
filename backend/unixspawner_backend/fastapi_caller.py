"""The caller as a FastAPI dependency. Runs as the backend's service account.

@app.get("/")
def home(caller: SignedIn) -> str:
    return caller.name
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from .peer import CALLER_KEY, Caller


async def signed_in(connection: HTTPConnection) -> Caller:
    """The Caller that CallerMiddleware put there, for HTTP and WebSocket routes alike.

    A coroutine that waits for nothing: FastAPI takes a thread for any other dependency.
    """
    caller = connection.scope.get(CALLER_KEY)
    if not isinstance(caller, Caller):
        # Fail closed, loudly: somebody forgot app.add_middleware(CallerMiddleware).
        raise RuntimeError("CallerMiddleware is not installed in this application")
    return caller


SignedIn = Annotated[Caller, Depends(signed_in)]
