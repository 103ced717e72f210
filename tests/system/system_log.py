"""The system's log since a moment, by tag: systemd's journal, or what comes over /dev/log.

Run by pytest as root. Where no system log runs, one is played for the length of a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.system.host import Host, wait_for
from tests.system.service import has_systemd

Lines = Callable[[str], list[str]]
_RECEIVER = """
import os, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("/dev/log")
os.chmod("/dev/log", 0o666)
with open(sys.argv[1], "ab", buffering=0) as file:
    while True:
        file.write(receiver.recv(65536).rstrip(b"\\0") + b"\\n")
"""
# <priority>Mon dd hh:mm:ss tag[pid]: text
_RECORD = re.compile(r"^<(\d+)>\S+ +\d+ [\d:]+ ([^\[:]+)\[\d+\]: (.*)$")


@contextmanager
def system_log(host: Host) -> Iterator[Lines]:
    """Yields a function: the lines of facility authpriv with a tag, from here on."""
    if has_systemd(host):
        since = host.run("date", "+@%s.%6N").out.strip()
        yield lambda tag: _journal(host, tag, since)
        return
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    script = 'exec setsid /usr/bin/python3 -Ic "$1" "$2" >/dev/null 2>&1 </dev/null &'
    host.run("sh", "-c", script, "sh", _RECEIVER, f"{folder}/log")
    wait_for("/dev/log", lambda: host.run("test", "-S", "/dev/log", check=False).status == 0)
    try:
        yield lambda tag: _lines(host.run("cat", f"{folder}/log", check=False).out, tag)
    finally:
        host.run("pkill", "-f", f"{folder}/log")
        host.run("rm", "-rf", "/dev/log", folder)


def _journal(host: Host, tag: str, since: str) -> list[str]:
    """By time: --after-cursor passes over the first line that fits the other options."""
    host.run("journalctl", "--sync")
    words = ("--facility=authpriv", "-t", tag, "-o", "cat", "--since", since)
    return host.run("journalctl", "-q", *words).out.splitlines()


def _lines(text: str, tag: str) -> list[str]:
    records = [match for line in text.splitlines() if (match := _RECORD.match(line))]
    return [each[3] for each in records if each[2] == tag and int(each[1]) >> 3 == 10]
