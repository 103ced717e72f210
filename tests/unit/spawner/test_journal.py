"""Records for systemd's journal, as they arrive at a socket like its own."""

from __future__ import annotations

import socket
import syslog
from collections.abc import Iterator
from pathlib import Path

import pytest

from unixspawner import audit, journal


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as each:
        each.bind(str(tmp_path / "socket"))
        each.settimeout(10)
        yield each


def fields(message: bytes) -> dict[str, str]:
    """Reads it as the journal does: name, newline, length in eight octets, data, newline."""
    found: dict[str, str] = {}
    while message:
        name, _, rest = message.partition(b"\n")
        end = 8 + int.from_bytes(rest[:8], "little")
        assert name.decode() not in found
        found[name.decode()] = rest[8:end].decode()
        assert rest[end : end + 1] == b"\n"
        message = rest[end + 1 :]
    return found


@pytest.mark.parametrize("value", ["alice", "", "two\nMESSAGE=lines", "ä\x00\x1b", "x" * 5000])
def test_no_value_looks_like_another_field(
    listener: socket.socket, tmp_path: Path, value: str
) -> None:
    sent = {"MESSAGE": "x", "UNIXSPAWNER_WHO": value, "PRIORITY": "5"}
    assert journal.send(sent, str(tmp_path / "socket"))
    assert fields(listener.recv(65536)) == sent


def test_half_a_surrogate_is_written_out(listener: socket.socket, tmp_path: Path) -> None:
    assert journal.send({"MESSAGE": "\udcff"}, str(tmp_path / "socket"))
    assert fields(listener.recv(100)) == {"MESSAGE": "\\udcff"}


@pytest.mark.parametrize("path", ["/no/such/socket", "/dev/null"])
def test_where_there_is_no_journal_the_caller_is_told(path: str) -> None:
    assert not journal.send({"MESSAGE": "x"}, path)


def test_a_line_of_the_audit_stream_has_its_fields() -> None:
    record = audit._for_the_journal("event=stop who=alice", {"event": "stop", "who": "alice"})
    assert record == {
        "MESSAGE": "event=stop who=alice",
        "PRIORITY": "5",
        "SYSLOG_FACILITY": "10",
        "SYSLOG_IDENTIFIER": "unixspawner-audit",
        "UNIXSPAWNER_EVENT": "stop",
        "UNIXSPAWNER_WHO": "alice",
    }
    assert syslog.LOG_AUTHPRIV >> 3 == 10


def test_the_fields_are_as_short_as_in_the_line() -> None:
    record = audit._for_the_journal("", {"who": "x" * 100000})
    assert record["UNIXSPAWNER_WHO"] == "x" * audit.LONGEST + "...(100000 characters)"
