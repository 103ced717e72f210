"""What the terminal can take: its width, its colours, and characters that do no harm in it."""

import os
import platform
import re
import shutil
import sys
import unicodedata

_COLOUR_CODE = re.compile(r"\x1b\[[0-9;:]{0,40}m")
_HARMLESS = "\n\t"
_COLOURS = {"ok": "32", "warning": "33", "failure": "31"}


def is_terminal() -> bool:
    return sys.stdout.isatty()


def width() -> int | None:
    """Columns to fit into; None where nobody looks at columns: a file, a pipe."""
    return size().columns if is_terminal() else None


def size() -> os.terminal_size:
    return shutil.get_terminal_size()


def host() -> str:
    return one_line(platform.node())


def paint(text: str, level: str) -> str:
    """Coloured on a terminal whose owner did not say NO_COLOR; the text says it too."""
    if level not in _COLOURS or not is_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[level]}m{text}\x1b[0m"


def harmless(text: str) -> str:
    """For text that others wrote: no sequence reaches the terminal; colours are left out."""
    plain = _COLOUR_CODE.sub("", text.replace("\r\n", "\n"))
    return "".join(c if c in _HARMLESS or c.isprintable() else _escaped(c) for c in plain)


def one_line(text: str, limit: int = 200) -> str:
    """The same for a name or a sentence: one line, of bounded length."""
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    return "".join(c if c.isprintable() else _escaped(c) for c in cut)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def columns_of(text: str) -> int:
    """How many columns printable text takes."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, limit: int) -> str:
    """The beginning of a text that is too long, and a sign that there was more."""
    if columns_of(text) <= limit:
        return text
    mark = "…" if _can_say("…") else "~"
    kept = ""
    for character in text:
        if columns_of(kept + character) > limit - 1:
            break
        kept += character
    return kept + mark


def _can_say(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
