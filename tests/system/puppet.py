"""An application that says whatever a request tells it to, and writes down what reached it.

Run by pytest as root, which starts it as mallory in the place of the demo application: what a
person's server forwards to is then as hostile as a test wants.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tests.system.accounts import replaced_file
from tests.system.host import Host, become, wait_for

ROOT_APPLICATION = "/etc/unixspawner/apps.d/demo.toml"
TITLE = "Puppet <b>&amp;"
_PROGRAM = r"""
import http.server, json, os, socketserver, sys, threading, urllib.parse

directory = sys.argv[1]
leave = threading.Semaphore(0)

class Puppet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def content(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)

    def chunk(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

    def stream(self, events):
        # each event but the first one waits for leave; a trailer at the end
        for number in range(events):
            if number:
                leave.acquire()
            self.chunk(b"data: %d\n\n" % number)
        self.wfile.write(b"0\r\nX-Trailer: yes\r\n\r\n")

    def cut(self, is_chunked, content):
        self.close_connection = True
        self.chunk(content) if is_chunked else self.wfile.write(content)

    def answer(self):
        body = self.content()
        with open(directory + "/record", "a") as file:
            target = self.requestline.split()[1]  # self.path has lost a slash of two
            json.dump([self.command, target, self.headers.items(), body.decode("latin-1")], file)
            file.write("\n")
        wanted = urllib.parse.parse_qs(self.path.partition("?")[2], keep_blank_values=True)
        content = wanted.get("body", ["puppet"])[0].encode()
        status = int(wanted.get("status", ["200"])[0])
        (cut,), (events,) = wanted.get("cut", [""]), wanted.get("stream", [""])
        if "leave" in wanted:
            leave.release()
        self.send_response(status)
        for line in wanted.get("header", []):
            name, _, value = line.partition(":")
            self.send_header(name, value.strip())
        if events or cut == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(content) + bool(cut)))
        self.end_headers()
        if events:
            self.stream(int(events))
        elif cut:
            self.cut(cut == "chunked", content)
        elif self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def address_string(self):
        return "puppet"

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 100

server = Server(directory + "/app.sock", Puppet)
os.chmod(directory + "/app.sock", 0o666)
server.serve_forever()
"""


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: str

    @property
    def fields(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers}


@dataclass(frozen=True)
class Puppet:
    host: Host
    directory: str
    pid: str

    def received(self) -> list[Received]:
        """Everything that reached the application so far."""
        text = self.host.run("cat", f"{self.directory}/record", check=False).out
        rows: list[list[Any]] = [json.loads(line) for line in text.splitlines()]
        return [
            Received(method, target, [(name, value) for name, value in headers], body)
            for method, target, headers, body in rows
        ]

    def targets(self) -> list[str]:
        return [each.target for each in self.received()]

    def forget(self) -> None:
        self.host.run("truncate", "-s", "0", f"{self.directory}/record")


def told(path: str, *headers: str, status: int = 200, body: str = "", kind: str = "") -> str:
    """The path by which a request tells it what to answer."""
    fields = [("header", each) for each in headers] + [("status", str(status))]
    if body:
        fields.append(("body", body))
    if kind:
        fields.append(("header", f"Content-Type: {kind}"))
    return f"{path}?{urlencode(fields, quote_via=quote)}"


@contextmanager
def puppet_as_root_application(host: Host) -> Iterator[Puppet]:
    """For the servers that are started meanwhile."""
    directory = host.as_account("mallory", "mktemp", "-d", "/tmp/puppet.XXXXXX").out.strip()
    host.run("chmod", "755", directory)
    script = 'exec "$@" >/dev/null 2>&1 </dev/null & echo $!'
    program = ("/usr/bin/python3", "-I", "-c", _PROGRAM, directory)
    pid = host.run("sh", "-c", script, "sh", *become("mallory"), *program).out.strip()
    socket = f"{directory}/app.sock"
    content = f'title = "{TITLE}"\nroot = true\nsocket = "{socket}"\n'
    try:
        wait_for("the puppet", lambda: host.run("test", "-w", socket, check=False).status == 0)
        with replaced_file(host, ROOT_APPLICATION, content):
            host.as_account("mallory", "touch", f"{directory}/record")
            yield Puppet(host, directory, pid)
    finally:
        host.run("kill", "-KILL", pid, check=False)
        host.run("rm", "-r", directory)
