"""The demo application: a page that says who is signed in and how that is known.

Runs as its own service account. As a service it listens on a Unix socket and believes the kernel
alone. By hand, `--port 8003` listens on loopback and believes the header X-Forwarded-User, which
any local account can send: good for looking at the page, for nothing else.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Annotated, Never

import uvicorn
from fastapi import FastAPI, Header, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, Response

from .fastapi_caller import SignedIn
from .peer import Caller, CallerMiddleware, Proof
from .uvicorn_peer import (
    PEER_PROTOCOLS,
    SocketInUseError,
    allow_many_connections,
    listen_for_everybody,
)

_PAGE_FILES = files("unixspawner_backend") / "demo_page"
_PAGE = Template((_PAGE_FILES / "page.html").read_text("utf-8"))
# The look of all pages, a copy of singleuser's (a test compares them); then our own few lines.
_STYLE = "".join((_PAGE_FILES / name).read_text("utf-8") for name in ("style.css", "page.css"))
_SCRIPT = (_PAGE_FILES / "page.js").read_text("utf-8")

# The end of an application's prefix when it is not the root one: in front of it the server begins.
_PLACE = re.compile(r"apps/[a-z0-9-]+/$", re.ASCII)
# A path on this site and nothing else: `//host/` and `/\host/` are other sites to a browser.
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~@%+-]+)*/?", re.ASCII)

_PROOFS = {
    Proof.KERNEL: "checked by the kernel: a process of this account made this connection",
    Proof.HEADER: "not checked: any account can send the header X-Forwarded-User that was believed",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class WhoAmI:
    """What the JSON endpoint answers and the page shows."""

    name: str
    uid: int
    gid: int
    groups: tuple[str, ...]
    proof: str
    visitor: str | None
    host: str


def who_am_i(caller: Caller) -> WhoAmI:
    return WhoAmI(
        name=caller.name,
        uid=caller.uid,
        gid=caller.gid,
        groups=caller.groups,
        proof=caller.proof.value,
        visitor=caller.visitor,
        host=socket.gethostname(),
    )


def render_page(caller: Caller, forwarded_prefix: str | None) -> str:
    """The page as HTML; its links lead below the gateway's prefix, where we were told one."""
    behind_gateway = bool(forwarded_prefix and _PREFIX.fullmatch(forwarded_prefix))
    # gateways write it without the slash at its end
    prefix = f"{(forwarded_prefix or '').rstrip('/')}/" if behind_gateway else "/"
    facts = who_am_i(caller)
    return _PAGE.substitute(
        name=html.escape(facts.name),
        uid=facts.uid,
        gid=facts.gid,
        groups=" ".join(f"<li>{html.escape(group)}</li>" for group in facts.groups),
        host=html.escape(facts.host),
        proof=html.escape(_PROOFS[caller.proof]),
        proof_class=caller.proof.value,
        prefix=html.escape(prefix),
        server=html.escape(_PLACE.sub("", prefix)),
        visitor_hidden="" if caller.visitor else "hidden",
        visitor=html.escape(caller.visitor or ""),
        gateway_hidden="" if behind_gateway else "hidden",
    )


def create_app(proof: Proof = Proof.KERNEL) -> FastAPI:
    """The ASGI application, every route of it behind the identity check."""
    app = FastAPI(title="unixspawner demo", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(CallerMiddleware, proof=proof)

    @app.get("/")
    def page(
        caller: SignedIn, x_forwarded_prefix: Annotated[str | None, Header()] = None
    ) -> HTMLResponse:
        return HTMLResponse(render_page(caller, x_forwarded_prefix), headers=_HEADERS)

    @app.get("/whoami")
    def whoami(caller: SignedIn, response: Response) -> WhoAmI:
        response.headers.update(_HEADERS)
        return who_am_i(caller)

    @app.get("/page.css")
    def style() -> Response:
        return Response(_STYLE, media_type="text/css", headers=_HEADERS)

    @app.get("/page.js")
    def script() -> Response:
        return Response(_SCRIPT, media_type="text/javascript", headers=_HEADERS)

    @app.websocket("/echo")
    async def echo(websocket: WebSocket, caller: SignedIn) -> None:
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                text = await websocket.receive_text()
                await websocket.send_text(f"{caller.name}: {text}")

    return app


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m unixspawner_backend.demo", description="The demo application."
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--socket", metavar="PATH", help="Unix socket; callers are identified by the kernel"
    )
    where.add_argument(
        "--port", type=int, help="TCP port on 127.0.0.1; the header X-Forwarded-User is believed"
    )
    return parser.parse_args(arguments)


def serve_on_socket(path: str) -> None:
    """Serve until a signal ends us, then take the socket file away."""
    allow_many_connections()
    listener = listen_for_everybody(path)
    config = uvicorn.Config(
        create_app(Proof.KERNEL), **PEER_PROTOCOLS, access_log=False, server_header=False
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


def serve_on_port(port: int) -> None:
    sys.stderr.write(
        "Warning: callers are not checked. "
        "Any account on this machine can connect to this port and claim any name.\n"
    )
    config = uvicorn.Config(
        create_app(Proof.HEADER),
        host="127.0.0.1",
        port=port,
        proxy_headers=False,
        access_log=False,
        server_header=False,
    )
    uvicorn.Server(config).run()


def _exit_cleanly(_signal: int, _frame: object) -> Never:
    sys.exit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse_arguments(arguments)
    # uvicorn raises the signal again once it has shut down; this makes it an ordinary exit, with
    # status 0.
    signal.signal(signal.SIGTERM, _exit_cleanly)
    signal.signal(signal.SIGINT, _exit_cleanly)
    if options.port is not None:
        serve_on_port(options.port)
        return
    try:
        serve_on_socket(options.socket)
    except (SocketInUseError, OSError) as error:
        sys.exit(f"The demo application cannot listen: {error}")


if __name__ == "__main__":
    main()
