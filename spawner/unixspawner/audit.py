"""The audit stream: who did what to whom, from where, and what came of it. Runs in the hub.

One line for each event, to the system's log (facility authpriv, tag unixspawner-audit, which
systemd's journal picks up) and to the hub's log, which has it where no system log runs. Nothing in
it is a secret, everything in it is bounded and escaped.
"""

import json
import logging
import queue
import re
import syslog
import threading
from typing import Literal

from . import journal

Event = Literal["sign-in", "start", "adopt", "stop", "cull", "grant", "revoke", "access", "reload"]
Outcome = Literal["ok", "refused", "failed", "ended"]
Format = Literal["text", "json"]

HUB = "unixspawner"
"""Who acts when nobody asked: the hub by itself."""
TAG = "unixspawner-audit"
LONGEST = 96  # characters of one value; a name has 64
KEPT = 1000  # lines that wait for a system log that is slow; beyond that they are in the hub's only

_PLAIN = re.compile(r"[A-Za-z0-9_.@:/+-]+", re.ASCII)
_log = logging.getLogger("unixspawner.audit")


class _Stream:
    """Where the lines go, and how they look; one for the hub."""

    def __init__(self) -> None:
        self.format: Format = "text"
        self.hub_log: logging.Logger | logging.LoggerAdapter[logging.Logger] = _log
        self._lines: queue.Queue[tuple[str, dict[str, str]]] = queue.Queue(KEPT)
        self._writer: threading.Thread | None = None

    def write(self, line: str, fields: dict[str, str]) -> None:
        self.hub_log.info("Audit: %s", line)
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_on, name=TAG, daemon=True)
            self._writer.start()
        try:
            self._lines.put_nowait((line, fields))
        except queue.Full:
            self.hub_log.warning("The system's log is stuck: an audit line is in this log only")

    def _write_on(self) -> None:
        """A system log that does not take a line must not keep the hub waiting."""
        syslog.openlog(TAG, syslog.LOG_PID, syslog.LOG_AUTHPRIV)
        while True:
            line, fields = self._lines.get()
            if not journal.send(_for_the_journal(line, fields)):
                syslog.syslog(syslog.LOG_NOTICE, line)


_stream = _Stream()


def configure(form: Format, hub_log: logging.Logger) -> None:
    """How lines look from here on, and the hub's own log."""
    _stream.format, _stream.hub_log = form, hub_log


def record(
    event: Event, *, who: str, whom: str = "", source: str = "", outcome: Outcome, reason: str = ""
) -> None:
    """Write one event down.

    `who` acted, on `whom` (a person, or person/server for a named server), from the address
    `source` as the hub knows it; `reason` is a code of docs/administrators.md.
    """
    fields = {
        "event": event,
        "who": who,
        "whom": whom,
        "source": source,
        "outcome": outcome,
        "reason": reason,
    }
    said = {name: value for name, value in fields.items() if value}
    _stream.write(line(said, _stream.format), said)


def _for_the_journal(text: str, fields: dict[str, str]) -> dict[str, str]:
    """The same line, with each field of it once more to search by."""
    return {
        "MESSAGE": text,
        "PRIORITY": str(syslog.LOG_NOTICE),
        "SYSLOG_FACILITY": str(syslog.LOG_AUTHPRIV >> 3),
        "SYSLOG_IDENTIFIER": TAG,
    } | {f"UNIXSPAWNER_{name.upper()}": _cut(value) for name, value in fields.items()}


def line(fields: dict[str, str], form: Format) -> str:
    """One record as text: `key=value` with quotes where they are needed, or JSON."""
    short = {name: _cut(value) for name, value in fields.items()}
    if form == "json":
        return json.dumps(short)
    return " ".join(f"{name}={_quoted(value)}" for name, value in short.items())


def server_name(person: str, server: str) -> str:
    """`alice`, or `alice/gpu-lab` for a named server."""
    return f"{person}/{server}" if server else person


def _cut(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}...({len(value)} characters)"


def _quoted(value: str) -> str:
    # JSON's way to quote leaves ASCII only, and nothing that moves a cursor
    return value if _PLAIN.fullmatch(value) else json.dumps(value)
