"""What stands in for sudo and the mediator in unit tests: a real process that misbehaves on demand.

Run as `python other_side.py BEHAVIOUR [FILE]`, with the channel as standard input like the real
ones. Those that are given the same FILE say nothing the first two times.
"""

import array
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

IDENTITY = {
    "pid": os.getpid(),
    "start_time": 1,
    "boot_id": "3f1b8a52-0c4d-4a8e-9a51-1d2c3b4a5968",
}
STARTING: dict[str, Any] = {
    "version": 1,
    "kind": "starting",
    **IDENTITY,
    "ignored_environment": [],
    "trouble": "",
    "message": "",
}
REFUSED = {"version": 1, "kind": "refused", "code": "no-shell", "message": "No shell."}


def line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


REPLIES: dict[str, bytes] = {
    "starts": line(STARTING),
    "refuses": line(REFUSED),
    "cannot-exec": line(STARTING) + line(REFUSED),
    "faults": line({"version": 1, "kind": "fault", "message": "internal error"}),
    "garbage": b"\x00\xff{]\n",
    "floods": line(STARTING) * 500,
    "lies": line({**STARTING, "pid": True}),
    "wrong-kind": line({"version": 1, "kind": "authenticated", "user": "mallory"}),
    "authenticates": line({"version": 1, "kind": "authenticated", "user": "alice"}),
    "examines": line(
        {"version": 1, "kind": "examined", "verdicts": {"alice": "open", "bob": "locked"}}
    ),
    "leaves": line(
        {"version": 1, "kind": "stopped", "signalled": 2, "left": 1, "log_tail": "bye\n"}
    ),
    "stops": line(
        {"version": 1, "kind": "stopped", "signalled": 2, "left": 0, "log_tail": "bye\n"}
    ),
}


def receive() -> tuple[socket.socket, list[int]]:
    channel = socket.socket(fileno=os.dup(0))
    _data, messages, _flags, _ = channel.recvmsg(70_000, socket.CMSG_SPACE(64))
    descriptors = array.array("i")
    for _level, _kind, data in messages:
        descriptors.frombytes(data)
    return channel, list(descriptors)


def says_nothing(asked: Path) -> bool:
    """Whether this is the first or second of those that count in this file."""
    with asked.open("a+b") as file:
        file.write(b".")
        return file.tell() < 3


def main(behaviour: str) -> None:
    if behaviour == "silent":
        return
    if behaviour == "sudo-says-no":
        print("sudo: a password is required\nsudo: sorry" + "x" * 100_000, file=sys.stderr)
        sys.exit(1)
    if behaviour == "nobody-of-that-name":
        print("sudo: unknown user jupyterhub-pam", file=sys.stderr)
        sys.exit(1)
    channel, descriptors = receive()
    if behaviour == "hangs":
        time.sleep(0.5)  # far longer than the patience that the test sets
        return
    if behaviour == "late":
        time.sleep(0.3)  # longer than the test's patience
        behaviour = "starts"
    try:
        if descriptors:
            os.write(descriptors[1], REPLIES[behaviour])
        else:
            channel.send(REPLIES[behaviour])
    except OSError:
        sys.exit(17)


if __name__ == "__main__":
    if not any(says_nothing(Path(file)) for file in sys.argv[2:]):
        main(sys.argv[1])
