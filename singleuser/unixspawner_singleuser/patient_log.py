"""Writes the server's own log in a thread: it lies in the home directory, which may hang.

Run as the person signed in. Whoever logs something goes on at once. What piles up while nothing
can be written is bounded; what was lost is counted.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque

MAX_WAITING = 1000  # lines
LAST_WORDS = 1.0  # seconds for what is left at the end


class PatientHandler(logging.Handler):
    """Takes the place of a StreamHandler on that descriptor."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._lost = 0
        self._news = threading.Condition()
        self._writer: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode(errors="replace")
        except Exception:
            self.handleError(record)
            return
        with self._news:
            if len(self._lines) >= MAX_WAITING:
                self._lost += 1
                return
            self._lines.append(line)
            if self._writer is None:
                self._writer = _begun(threading.Thread(target=self._write, daemon=True))
            self._news.notify_all()

    def flush(self) -> None:
        """Waits for what is left, but not for long."""
        with self._news:
            self._news.wait_for(lambda: not self._lines, LAST_WORDS)

    def _write(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._lines)
                line, lost, self._lost = self._lines[0], self._lost, 0
            if lost:
                line += b"%d lines of this log were lost.\n" % lost
            _write_all(self._descriptor, line)
            with self._news:
                self._lines.popleft()
                self._news.notify_all()


def _begun(writer: threading.Thread) -> threading.Thread | None:
    """None where the account may not have one more thread now: tried again with the next line."""
    try:
        writer.start()
    except RuntimeError:
        return None
    return writer


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except OSError:  # full, or nobody reads it
            return
