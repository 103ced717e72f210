"""Acts as the hub's account: runs sudo with a crafted channel, as a hub that was broken into would.

Run by pytest as root, which starts the program below as the hub's account. The program gets one
JSON order on standard input and prints one JSON outcome; it lives in this string because the hub's
account cannot, and need not, read the clone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.system.host import Host
from tests.system.service import AUTHENTICATE, MEDIATOR, options

SUDO = "/usr/bin/sudo"

_PROGRAM = r"""
import array, base64, contextlib, json, os, select, socket, subprocess, sys, tempfile, time

order = json.load(sys.stdin)
deadline = time.monotonic() + order["deadline"]

def readable(descriptor):
    return bool(select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0])

def read_pipe(descriptor):
    data = b""
    while readable(descriptor):
        piece = os.read(descriptor, 65536)
        if not piece:
            return data, True
        data += piece
    return data, False

directory = tempfile.mkdtemp()
listener = socket.socket(socket.AF_UNIX)
listener.bind(directory + "/server.sock")
listener.listen()
connected, other_end = socket.socketpair()
status, status_writer = os.pipe()
kinds = {
    "listener": listener.fileno(), "status": status_writer, "connected": connected.fileno(),
    "file": os.open("/dev/null", os.O_RDWR), "status-reader": status,
}
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
descriptors = [kinds[kind] for kind in order["descriptors"]]
with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
    with contextlib.suppress(OSError):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sudo = subprocess.Popen(order["command"], stdin=theirs, stdout=output, stderr=errors,
                            env=order["environment"], cwd="/")
    theirs.close()
    sent = "yes"
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    for message in order["messages"]:
        try:
            ours.sendmsg([base64.b64decode(message)], rights if descriptors else [])
        except OSError as error:
            sent = str(error)
    os.close(status_writer)
    if not order["messages"]:
        ours.shutdown(socket.SHUT_WR)
    status_data, status_ended = b"", True
    if "status" in order["descriptors"]:
        status_data, status_ended = read_pipe(status)
    reply, exit_status = b"", None
    if b'"starting"' not in status_data:
        try:
            reply = ours.recv(65536) if readable(ours.fileno()) else b""
        except OSError:
            pass
        try:
            exit_status = sudo.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
    for stream in (output, errors):
        stream.seek(0)
    json.dump({
        "sent": sent, "status": exit_status, "status_ended": status_ended,
        "status_pipe": status_data.decode("utf-8", "replace"),
        "reply": reply.decode("utf-8", "replace"),
        "out": output.read().decode("utf-8", "replace"),
        "err": errors.read().decode("utf-8", "replace"),
    }, sys.stdout)
    sys.stdout.flush()
os.unlink(directory + "/server.sock")
os.rmdir(directory)
"""


@dataclass(frozen=True)
class Order:
    """What the broken-in hub does: a command, messages on its standard input, descriptors."""

    command: tuple[str, ...]
    messages: tuple[bytes, ...] = ()
    descriptors: tuple[str, ...] = ()
    # sudo 1.9.16 does not survive an empty one
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/bin"})
    deadline: float = 15.0


@dataclass(frozen=True)
class Outcome:
    """What it got; `status` is None where the command still runs (a started server)."""

    sent: str
    status: int | None
    status_ended: bool
    status_pipe: str
    reply: str
    out: str
    err: str

    def answer(self) -> dict[str, Any]:
        """The one answer, from wherever it came. Fails where there is none."""
        text = self.status_pipe or self.reply
        assert text, self
        answer: dict[str, Any] = json.loads(text.splitlines()[-1])
        return answer

    @property
    def mediator_ran(self) -> bool:
        """Whether one of our programs was reached: whatever it decides, it says so."""
        return "unixspawner: " in self.err or bool(self.status_pipe or self.reply)


def do(host: Host, order: Order) -> Outcome:
    """Run an order as the hub's account."""
    plain = asdict(order) | {"messages": [base64.b64encode(m).decode() for m in order.messages]}
    out = host.as_account(
        options(host).hub_account,
        *("/usr/bin/python3", "-I", "-c", _PROGRAM),
        stdin=json.dumps(plain),
        timeout=order.deadline + 15,
    ).out
    return Outcome(**json.loads(out))


def mediator(verb: str, user: str, *sudo_options: str) -> tuple[str, ...]:
    """The command that the hub itself uses."""
    return (SUDO, "-n", "-H", *sudo_options, "-u", user, MEDIATOR, verb)


def authenticate(host: Host) -> tuple[str, ...]:
    return (SUDO, "-n", "-u", options(host).pam_account, AUTHENTICATE)


def message(verb: str, user: str = "alice", /, **fields: object) -> bytes:
    """A well-formed request, with fields replaced or added."""
    base: dict[str, object] = {"version": 1, "verb": verb, "user": user}
    if verb in ("start", "stop"):
        base |= {"server_name": "", "server_id": "0" * 32}
    if verb == "start":
        base["environment"] = {}
    if verb == "stop":
        base |= {"pid": 1, "start_time": 1, "boot_id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}
    if verb == "authenticate":
        base["password"] = "x"
    return json.dumps(base | fields).encode()


def ask_start(host: Host, data: bytes, user: str = "alice", **options_: Any) -> Outcome:
    descriptors: Sequence[str] = options_.pop("descriptors", ("listener", "status"))
    command = mediator("start", user)
    return do(host, Order(command, (data,), tuple(descriptors), **options_))


def ask_stop(host: Host, data: bytes, user: str = "alice") -> Outcome:
    """As an account by name or number; where the request has no number, it is that one's."""
    fields = json.loads(data)
    if "uid" not in fields:
        fields["uid"] = int(user.removeprefix("#") if user[0] == "#" else uid_of(host, user))
    return do(host, Order(mediator("stop", user), (json.dumps(fields).encode(),)))


def uid_of(host: Host, name: str) -> int:
    return int(host.run("id", "-u", name).out)


def ask_examine(host: Host, *users: str) -> Outcome:
    """Who of these is locked or has expired?"""
    data = json.dumps({"version": 1, "verb": "examine", "users": users}).encode()
    return do(host, Order(authenticate(host), (data,)))
