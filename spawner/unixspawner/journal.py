"""Speaks to systemd's journal in its own words, so that a record has fields to search by.

Runs in the hub. https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

import socket
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"


def send(fields: Mapping[str, str], path: str = SOCKET) -> bool:
    """Write one record; False where no journal takes it."""
    message = b"".join(_field(name, value) for name, value in fields.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(message, path)
    except OSError:
        return False
    return True


def _field(name: str, value: str) -> bytes:
    """With its length in front, so that no value can look like another field."""
    data = value.encode("utf-8", "backslashreplace")
    return b"%b\n%b%b\n" % (name.encode("ascii"), len(data).to_bytes(8, "little"), data)
