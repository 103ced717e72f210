"""The words in braces that an application's command, environment and directory may have.

Run as the person signed in. What is not one of them was refused when the file was read; braces
around anything else than a word stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

NAMES = ("socket", "prefix", "user", "home", "name")
_WORD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def first_unknown(texts: Iterable[str]) -> str:
    """The first word in braces that means nothing, with its braces; empty without one."""
    words = (match for text in texts for match in _WORD.finditer(text))
    return next((word[0] for word in words if word[1] not in NAMES), "")


def mentions(name: str, texts: Iterable[str]) -> bool:
    return any(f"{{{name}}}" in text for text in texts)


def filled(text: str, values: Mapping[str, str]) -> str:
    """In one go: what a value brings along is not looked at again."""
    return _WORD.sub(lambda word: values[word[1]], text)
