"""An application for tests: tells what it was given, and misbehaves when its address says so.

Run by the launcher, as any application's program, with its socket as the first argument. A second
argument is a pipe that it waits for before it listens.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal
import sys
from urllib.parse import parse_qs, urlsplit


def descriptors() -> list[str]:
    """What is open, as a child sees it that was just started."""
    found = []
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            found.append(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue  # the one that listed them
    return found


def signals() -> dict[str, str]:
    with open("/proc/self/status") as file:
        lines = dict(line.split(":\t", 1) for line in file)
    return {name: lines[name].strip() for name in ("SigIgn", "SigBlk")}


FACTS = {
    "arguments": sys.argv[1:],
    "descriptors": descriptors(),
    "environment": dict(os.environ),
    "directory": os.getcwd(),
    "pid": os.getpid(),
    "session": os.getsid(0),
    "signals": signals(),
}


def daemon(kind: str) -> int:
    """A grandchild in a session of its own, whose parent has ended."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        child = os.fork()
        if child:
            os.write(write, str(child).encode())
            os._exit(0)
        if kind == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        environment = {} if kind == "forgetful" else dict(os.environ)
        os.execve("/bin/sleep", ["sleep", "1000"], environment)
    os.wait()
    return int(os.read(read, 100))


def children(count: int) -> list[int]:
    """Children that end at once, and that nobody waits for when we are gone."""
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        pids.append(pid)
    return pids


def accepting(key: str) -> bytes:
    """The agreement to a WebSocket's handshake."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % base64.b64encode(digest)
    )


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    target = head.split(" ")[1]
    _, is_websocket, rest = head.partition("sec-websocket-key: ")
    if is_websocket:
        writer.write(accepting(rest.partition("\r\n")[0]))
        await reader.read(1)  # open until the other side speaks or leaves
        writer.close()
        return
    url = urlsplit(target)
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    said: object = {**FACTS, "target": target, "head": head}
    extra = ""
    if "exit" in query:
        os._exit(int(query["exit"]))
    if "daemon" in query:
        said = daemon(query["daemon"])
    if "children" in query:
        said = children(int(query["children"]))
    if "redirect" in query:
        extra = f"Location: {query['redirect']}\r\nSet-Cookie: a=1; Path=/\r\n"
    if "allocate" in query:
        said = len(bytearray(b"\1") * (int(query["allocate"]) * 2**20))
    if "wait" in query:
        await asyncio.Event().wait()
    body = json.dumps(said).encode()
    status = "302 Found" if extra else "200 OK"
    extra += "Content-Type: application/json\r\n"
    writer.write(f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_unix_server(answer, sys.argv[1])
    await server.serve_forever()


if __name__ == "__main__":
    print("It writes <b>into</b> its log.", flush=True)
    if len(sys.argv) > 2 and os.path.exists(sys.argv[2]):
        with open(sys.argv[2]) as gate:
            gate.read()
    asyncio.run(main())
