"""The proxy: its process, whether it answers, its release, and whose the public port is."""

import os
import socket
from collections.abc import Iterator

from .. import as_account, paths, release, services, system
from ..as_account import Emit
from ..errors import AdminError
from ..findings import Finding, judge
from ..options import Options

_PROGRAM = b"configurable-http-proxy"
_SECONDS = 5.0
# As the hub looks: without a Host, Node itself answers 400 and the proxy's log has no line of it.
_GREETING = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"


def check(options: Options) -> Iterator[Finding]:
    pids = _processes(options)
    if services.runs(services.HUB):
        yield _is_one(pids)
        if pids:
            yield _answers(options.hub_account)
        yield from _has_its_files(pids)
        yield _has_the_port(options)
    elif pids:
        text = f"a proxy runs without a hub, and the next hub takes it over: process {pids[0]}"
        yield Finding("warning", text, release.restart())
    elif services.listener_uid(options.bind, options.port) is not None:
        yield _has_the_port(options)  # why the hub does not start


def _processes(options: Options) -> list[int]:
    return [
        pid
        for pid in system.processes_of(options.hub_account)
        if any(word.endswith(_PROGRAM) for word in _words(pid))
    ]


def _words(pid: int) -> list[bytes]:
    return system.read_process(pid, "cmdline").split(b"\0")


def _is_one(pids: list[int]) -> Finding:
    numbers = " ".join(map(str, pids))
    wrong = f"several proxies run: {numbers}" if pids else "no proxy runs"
    return judge(len(pids) == 1, "one proxy runs", release.restart(), wrong=wrong)


def _answers(account: str) -> Finding:
    """The next hub ends a proxy that does not, and starts another; this one does so by itself."""

    def ask(emit: Emit) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(str(paths.PROXY_SOCKET))
            connection.sendall(_GREETING)
            emit(connection.recv(1))

    try:
        right = as_account.call(account, ask, _SECONDS) != b""
    except (OSError, AdminError):
        right = False
    wrong = "the proxy does not answer: pages do not come"
    return judge(right, "the proxy answers", release.restart(), wrong=wrong)


def _has_its_files(pids: list[int]) -> Iterator[Finding]:
    """An upgrade leaves the proxy alone that is the same in both releases."""
    for pid in pids:
        right = os.path.exists(_words(pid)[0])
        wrong = f"the proxy (process {pid}) runs from a release that is not there any more"
        yield judge(right, "the proxy's release is there", release.restart(), wrong=wrong)


def _has_the_port(options: Options) -> Finding:
    owner = services.listener_uid(options.bind, options.port)
    place = f"port {options.port} on {options.bind}"
    if owner is None:
        return Finding("failure", f"nobody listens at {place}", release.restart())
    wrong = f"another program (of uid {owner}) has {place}"
    cure = f"ss -ltnp 'sport = :{options.port}'   # end it, then {release.restart()}"
    right = owner == system.uid_of(options.hub_account)
    return judge(right, f"{place} is the proxy's", cure, wrong=wrong)
