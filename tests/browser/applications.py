"""Applications in apps.d for as long as a test runs: one for each state that a tile can have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.host import Host

APPS = "/etc/unixspawner/apps.d"
DEMO = f"{APPS}/demo.toml"

# A web server of a few lines, on the socket that it is given.
_SERVES = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = b"<!doctype html><html lang=en><title>Notes</title><h1>It runs</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def address_string(self):
        return "browser"
print("Notes are served.", flush=True)
socketserver.ThreadingUnixStreamServer(sys.argv[1], Handler).serve_forever()
"""
_NEVER_READY = 'echo "Looking for the detector"; exec sleep 600'
_FAILS = 'echo "The detector is not connected." >&2; exit 3'
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">'
    '<circle cx="4" cy="4" r="4" fill="#c50"/></svg>'
)


def _program(title: str, description: str, *words: str, more: str = "") -> str:
    return (
        f"title = {json.dumps(title)}\ndescription = {json.dumps(description)}\n"
        f"command = {json.dumps(words)}\nshell = 'none'\n{more}"
    )


FILES = {
    "10-notes.toml": _program(
        "Notes",
        "Text and pictures, in one place",
        "/usr/bin/python3",
        "-c",
        _SERVES,
        "{socket}",
        more="icon = 'notes.svg'\n",
    ),
    "20-detector.toml": _program(
        "Detector", "What it measures right now", "/bin/sh", "-c", _NEVER_READY, "{socket}"
    ),
    "30-terminal.toml": _program(
        "Terminal", "A shell on this machine", "/usr/bin/python3", "-c", _SERVES, "{socket}"
    ),
    "40-analysis.toml": _program(
        "Analysis <&>", "Fits and histograms", "/bin/sh", "-c", _FAILS, "{socket}"
    ),
    "50-shared.toml": (
        'title = "Handbook"\ndescription = "How things are done here"\n'
        'socket = "/run/unixspawner-demo/demo.sock"\n'
    ),
    "60-away.toml": 'title = "Archive"\nsocket = "/run/unixspawner-demo/nothing.sock"\n',
    "notes.svg": _ICON,
}


@contextmanager
def many_applications(host: Host) -> Iterator[None]:
    """In place of the demo, which would take the place of the home page."""
    host.run("mv", DEMO, f"{DEMO}.away")
    try:
        for name, content in FILES.items():
            host.run("tee", f"{APPS}/{name}", stdin=content)
        yield
    finally:
        host.run("rm", "-f", *(f"{APPS}/{name}" for name in FILES))
        host.run("mv", f"{DEMO}.away", DEMO)
