"""Everybody's own notes: a shared application that asks the kernel who is calling.

Run by its service account: python notes.py /run/notes/notes.sock
"""

import sys
from html import escape
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header
from fastapi.responses import HTMLResponse

from unixspawner_backend.fastapi_caller import SignedIn
from unixspawner_backend.peer import CallerMiddleware
from unixspawner_backend.uvicorn_peer import (
    PEER_PROTOCOLS,
    allow_many_connections,
    listen_for_everybody,
)

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
app.add_middleware(CallerMiddleware)  # 403 for whoever the kernel does not name
notes: dict[int, list[str]] = {}  # by uid: a name can be given to somebody else one day


@app.get("/")
def page(caller: SignedIn, x_forwarded_prefix: Annotated[str, Header()] = "") -> HTMLResponse:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes.get(caller.uid, []))
    home = escape(f"{x_forwarded_prefix}/")
    return HTMLResponse(
        f"<!doctype html><title>Notes</title><h1>Notes of {escape(caller.name)}</h1>"
        f'<ul>{items}</ul><a href="{home}">Again</a>'
    )


@app.get("/notes")
def read(caller: SignedIn) -> list[str]:
    return notes.get(caller.uid, [])


@app.post("/notes")
def write(caller: SignedIn, text: str) -> list[str]:
    notes.setdefault(caller.uid, []).append(text[:1000])
    return notes[caller.uid]


if __name__ == "__main__":
    allow_many_connections()  # there are as many as people, times their tabs
    listener = listen_for_everybody(sys.argv[1])
    uvicorn.Server(uvicorn.Config(app, **PEER_PROTOCOLS)).run(sockets=[listener])
