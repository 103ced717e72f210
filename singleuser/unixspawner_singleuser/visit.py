"""One request that the gate has let in, with everything that answering it takes.

Run as the person signed in.
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.types import Receive, Scope

from .account import Account
from .replies import Finish, Reply, refusal
from .request import Incoming
from .sessions import Session


class Visit(NamedTuple):
    """Made for every request: as a data class it would take four times as long."""

    request: Incoming
    session: Session
    account: Account
    scope: Scope
    receive: Receive
    send: Finish

    async def answer(self, reply: Reply) -> None:
        await reply(self.scope, self.receive, self.send)


def nothing(request: Incoming) -> Reply:
    """The same whether there is nothing, or nothing for this person."""
    return refusal(request, 404, "Not found", "There is nothing at this address.")
