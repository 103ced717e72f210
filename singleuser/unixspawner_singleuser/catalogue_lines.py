"""Finds the line of a key in a TOML file, for whoever has to correct it.

Run as the person signed in, only when a file was refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_HEADER = re.compile(r"\s*\[+\s*[\"']?([^\]\"']+?)[\"']?\s*\]")
_KEY = re.compile(r"\s*(?:\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_.-]+))\s*=")
_TRIPLE = re.compile(r"\"\"\"|'''")
_TEXT_OR_COMMENT = re.compile(r"\"(?:[^\"\\]|\\.)*\"(?!\")|'[^']*'(?!')|#.*")


def line_of(text: str, key: str) -> int:
    """The line where `key` or `table.key` stands; else that of the table, else 1."""
    table = key.rpartition(".")[0]
    here, fallback = "", 1
    for number, line in _statements(text):
        header, found = _HEADER.match(line), _KEY.match(line)
        if header:
            here = said = header[1]
        elif found:
            name = found[1] or found[2] or found[3] or ""
            said = f"{here}.{name}" if here else name
        else:
            continue
        if said == key:
            return number
        if said == table:
            fallback = number
    return fallback


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The lines that do not begin inside of a text over several lines."""
    quote = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not quote:
            yield number, line
        quote = _open_quote(line, quote)


def _open_quote(line: str, quote: str) -> str:
    """The triple quote that is open at the end of a line."""
    position = 0
    while True:
        if quote:
            end = line.find(quote, position)
            if end < 0:
                return quote
            position, quote = end + 3, ""
        start = _TRIPLE.search(line, position)
        if start is None:
            return ""
        hidden = _TEXT_OR_COMMENT.match(line, _before(line, position, start.start()))
        if hidden:
            position = hidden.end()
        else:
            position, quote = start.end(), start[0]


def _before(line: str, position: int, triple: int) -> int:
    """Where the text or comment begins that a triple quote stands in, else where that stands."""
    for found in _TEXT_OR_COMMENT.finditer(line, position):
        if found.start() < triple < found.end():
            return found.start()
    return triple
