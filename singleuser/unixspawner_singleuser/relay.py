"""Passes an application's answer on: its head as a browser may see it, then its body as it comes.

Run as the person signed in, for HTTP and for the handshake of a WebSocket that came to nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from .answers import AnswerHead
from .browser import Answer
from .errors import UpstreamUnavailableError
from .headers import Headers, first, response_headers
from .rewriting import Place, own_hosts
from .upstream_http import UpstreamConnection
from .upstreams import Errand

_WITHOUT_BODY = frozenset({204, 304})


async def relay(
    connection: UpstreamConnection,
    head: AnswerHead,
    answer: Answer,
    errand: Errand,
    place: Place,
    on_data: Callable[[], None],
) -> None:
    """Raises UpstreamUnavailableError, in the middle of an answer perhaps."""
    if not 200 <= head.status <= 599:
        raise UpstreamUnavailableError("its status is none")
    headers = answer_headers(head, errand, place)
    if head.status in _WITHOUT_BODY:
        headers = [pair for pair in headers if pair[0] != b"content-length"]
    await answer.start(head.status, headers)
    while not answer.complete:
        data = await connection.read()
        if data:
            on_data()
        await answer.write(data, last=connection.finished)


def answer_headers(head: AnswerHead, errand: Errand, place: Place) -> Headers:
    leads = first(head.headers, b"location")
    hosts = own_hosts(errand.request, errand.application.upstream) if leads else frozenset()
    return response_headers(head.headers, place, hosts)
