"""The application behind the server under test: the little of Jupyter that the tests look at.

Run by launch.py, as the account that runs the tests.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route


def root_directory() -> Path:
    return Path(os.environ.get("JUPYTERHUB_ROOT_DIR") or "~").expanduser()


async def tree(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>tree</title>")


async def contents(request: Request) -> JSONResponse:
    names = sorted(path.name for path in root_directory().iterdir())
    return JSONResponse({"content": [{"name": name} for name in names]})


async def test_info(request: Request) -> JSONResponse:
    """Facts about this process. There is no Jupyter configuration, so there is none to show."""
    return JSONResponse(
        {
            "root_dir": str(root_directory()),
            "disable_user_config": os.environ.get("JUPYTERHUB_DISABLE_USER_CONFIG") == "1",
            "config": {},
            "settings": {},
            "config_file_paths": [],
        }
    )


async def main(listener: socket.socket, lifeline: int) -> None:
    app = Starlette(
        routes=[
            Route("/tree", tree),
            Route("/tree/", tree),
            Route("/api/contents/", contents),
            Route("/jupyterhub-test-info", test_info),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    asyncio.get_running_loop().add_reader(lifeline, lambda: setattr(server, "should_exit", True))
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    try:
        asyncio.run(main(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
    finally:
        shutil.rmtree(os.environ["UNIXSPAWNER_PEERS_DIRECTORY"], ignore_errors=True)
