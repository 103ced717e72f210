"""mallory at the public address, while the service is away. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from tests.system.host import Host, become, wait_for
from tests.system.service import do, options, service_command

_IMITATION = """
import http.server, sys
class Imitation(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"type your password here")
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Imitation).serve_forever()
"""


@contextmanager
def squatting(host: Host) -> Iterator[None]:
    """mallory has the public port; the service, which did not start, runs again afterwards."""
    chosen = options(host)
    words = ("python3", "-c", _IMITATION, chosen.bind, str(chosen.port))
    host.run(*service_command(host, "stop"), timeout=90)
    script = 'exec "$@" >/dev/null 2>&1 &'
    host.run("sh", "-c", script, "sh", *become("mallory"), *words)
    try:
        name, port = host.reach(chosen.bind, chosen.port)
        url = f"http://{name}:{port}/"
        wait_for("the imitation", lambda: _says(url, "type your password here"))
        yield
    finally:
        host.run("pkill", "-KILL", "-u", "mallory", check=False)
        do(host, "start")


def _says(url: str, text: str) -> bool:
    try:
        return text in httpx.get(url).text
    except httpx.TransportError:
        return False
