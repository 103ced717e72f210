"""A stand-in for the hub: real HTTP, and just enough of its API for one person to sign in.

Run by uvicorn from the benchmark's environment. It answers who holds a token and exchanges codes,
so that our server authenticates every request exactly as it does behind JupyterHub.
"""

import json

from .application import Message, Receive, Send

USER = "alice"
SERVER_TOKEN = "benchmark-token-of-the-server"
VISITOR_TOKEN = "benchmark-token-of-alice"
SCOPE = f"access:servers!server={USER}/"

_MODEL = {"name": USER, "kind": "user", "admin": False, "groups": [], "scopes": [SCOPE]}


async def application(scope: Message, receive: Receive, send: Send) -> None:
    headers = dict(scope["headers"])
    status, model = 404, dict[str, object]()
    if scope["path"] == "/hub/api/user":
        known = headers.get(b"authorization") == f"token {VISITOR_TOKEN}".encode()
        status, model = (200, dict(_MODEL)) if known else (403, model)
    elif scope["path"] == "/hub/api/oauth2/token":
        status, model = 200, {"access_token": VISITOR_TOKEN}
    elif scope["path"].endswith("/activity") or scope["path"].rstrip("/") == "/hub/api":
        status = 200
    body = json.dumps(model).encode()
    answer = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-jupyterhub-version", b"6.1.1"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": answer})
    await send({"type": "http.response.body", "body": body})
