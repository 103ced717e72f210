"""One direction of a WebSocket as bytes: where frames begin and end, and nothing of what they say.

Run as the person signed in, on every byte that a browser or an application sends. Messages pass
untouched, compressed or not; only what two programs could divide into frames differently is
stopped. https://datatracker.ietf.org/doc/html/rfc6455#section-5.2
"""

from __future__ import annotations

import os

_CLOSE = 8
_KNOWN = frozenset({0, 1, 2, 8, 9, 10})  # continuation, text, binary; close, ping, pong
_LAST = 0x80
_RESERVED = 0x70
_MASKED = 0x80
_LARGEST_CONTROL = 125


class Frames:
    """Reads one direction. A header goes on as a whole, so what went on never ends within one."""

    def __init__(self, *, masked: bool, extended: bool) -> None:
        """`masked`: from a browser. `extended`: both sides have agreed on an extension."""
        self._mask = _MASKED if masked else 0
        self._forbidden = 0 if extended else _RESERVED
        self._held = b""  # an incomplete header
        self._left = 0  # bytes of the current frame still to come
        self._opcode = 0
        self.closed = False  # the Close frame has passed, and nothing comes after it
        self.broken = False  # what came next is no frame
        self.carried_data = False  # what passed last was more than ping, pong and close

    @property
    def between(self) -> bool:
        """True when another frame could be put behind what has passed."""
        return self._left == 0 and not self.closed

    def passing(self, data: bytes) -> bytes:
        """What may go on, of all that has arrived."""
        self.carried_data = False
        if self.closed or self.broken:
            return b""
        if self._held:
            data, self._held = self._held + data, b""
        self.carried_data = self._left > 0 and self._opcode < _CLOSE
        beyond = self._walk(data)
        if beyond < 0:
            return data
        self._left = 0
        return data[:beyond]

    def _walk(self, data: bytes) -> int:
        """Where to stop short of the end; -1 when everything passes."""
        at, end = self._left, len(data)
        while at <= end:
            if at and self._opcode == _CLOSE:
                self.closed = True
                return at
            if at == end:
                break
            size = self._frame(data, at)
            if size == 0:
                self._held = b"" if self.broken else data[at:]
                return at
            at += size
        self._left = at - end
        return -1

    def _frame(self, data: bytes, at: int) -> int:
        """The size of the frame that begins here; 0 when that cannot be told yet, or not at all."""
        if len(data) < at + 2:
            return 0
        first, second = data[at], data[at + 1]
        if self._is_wrong(first, second):
            self.broken = True
            return 0
        length, begin = second & 0x7F, at + 2
        if length > _LARGEST_CONTROL:
            wide = 2 if length == _LARGEST_CONTROL + 1 else 8
            length = int.from_bytes(data[begin : begin + wide], "big")
            begin += wide
            if wide == 8 and len(data) >= begin and length >> 63:
                self.broken = True
                return 0
        begin += 4 if self._mask else 0
        if len(data) < begin:
            return 0
        self._opcode = first & 0x0F
        self.carried_data = self.carried_data or self._opcode < _CLOSE
        return begin - at + length

    def _is_wrong(self, first: int, second: int) -> bool:
        opcode = first & 0x0F
        if first & self._forbidden or opcode not in _KNOWN or second & _MASKED != self._mask:
            return True
        return opcode >= _CLOSE and (
            not first & _LAST or bool(first & _RESERVED) or second & 0x7F > _LARGEST_CONTROL
        )


def close_frame(code: int, *, masked: bool) -> bytes:
    """A Close frame without a reason, masked as everything that goes to an application must be."""
    payload = code.to_bytes(2, "big")
    if not masked:
        return bytes((_LAST | _CLOSE, len(payload))) + payload
    mask = os.urandom(4)
    hidden = bytes(byte ^ key for byte, key in zip(payload, mask, strict=False))
    return bytes((_LAST | _CLOSE, _MASKED | len(payload))) + mask + hidden
