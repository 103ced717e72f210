"""A terminal in the browser: the person's login shells, on a Unix socket.

Run as the person signed in: `server.py --socket PATH`. Whoever reaches that socket has been let in
by the gateway, which has also checked where a WebSocket comes from. A shell goes on when its page
is closed; who comes back finds it again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pwd
import re
import signal
from itertools import count
from pathlib import Path

from terminado import NamedTermManager, TermSocket
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler, StaticFileHandler

HERE = Path(__file__).parent
MODULES = HERE / "node_modules" / "@xterm"
FILES = {
    "xterm.js": MODULES / "xterm/lib/xterm.js",
    "xterm.css": MODULES / "xterm/css/xterm.css",
    "addon-fit.js": MODULES / "addon-fit/lib/addon-fit.js",
    "page.js": HERE / "page.js",
    "page.css": HERE / "page.css",
    "icon.svg": HERE / "terminal.svg",
}
MAX_SHELLS = 50
SHELL = re.compile("[1-9][0-9]{0,3}")
# terminado sets a size that is wrong as soon as a window has another one.
ENVIRONMENT = {"COLORTERM": "truecolor", "COLUMNS": None, "LINES": None, "PYXTERM_DIMENSIONS": None}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class Page(RequestHandler):
    """The page of one shell: without a number, of one that nobody looks at, else of a new one."""

    def initialize(self, shells: NamedTermManager) -> None:
        self.shells = shells

    def get(self) -> None:
        if not SHELL.fullmatch(self.get_query_argument("shell", "")):
            self.redirect(f"?shell={unwatched(self.shells)}")
            return
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", "no-cache")
        self.finish((HERE / "page.html").read_bytes())


class File(StaticFileHandler):
    """One of FILES: no other name leads to a path."""

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        return str(FILES.get(path, HERE / "no-such-file"))

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        checked: str | None = super().validate_absolute_path("/", absolute_path)
        return checked


class Shell(TermSocket):
    """Keystrokes in, output out."""

    def check_origin(self, origin: str) -> bool:
        """The gateway has compared it with the addresses by which it is known, which we are not."""
        return True


def unwatched(shells: NamedTermManager) -> int:
    """The lowest number that is free, or whose shell has no page."""
    known = shells.terminals
    return next(n for n in count(1) if str(n) not in known or not known[str(n)].clients)


def login_shell() -> list[str]:
    """As ssh starts it; it reads the dotfiles itself."""
    return [pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh", "-l"]


async def serve(socket_path: str) -> None:
    shells = NamedTermManager(
        shell_command=login_shell(),
        max_terminals=MAX_SHELLS,
        term_settings={"cwd": os.getcwd()},
        extra_env=ENVIRONMENT,
    )
    application = Application(
        [
            (r"/", Page, {"shells": shells}),
            (rf"/shell/({SHELL.pattern})", Shell, {"term_manager": shells}),
            (r"/files/(.*)", File, {"path": "/"}),
        ],
        websocket_ping_interval=30,
    )
    server = HTTPServer(application)
    server.add_socket(bind_unix_socket(socket_path, mode=0o600))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.stop()
    await shells.kill_all()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    asyncio.run(serve(parser.parse_args().socket))
