"""How well one colour can be told from another: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""

from __future__ import annotations

import re

Colour = tuple[int, int, int]


def parse(colour: str) -> Colour:
    """From `#0b5cad`, `rgb(11, 92, 173)` or `rgba(11, 92, 173, 1)`."""
    if colour.startswith("#"):
        red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    else:
        red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return red, green, blue


def contrast(one: str, other: str) -> float:
    """From 1 (the same) to 21 (black on white). Text needs 4.5, the edge of a field 3."""
    darker, lighter = sorted((_luminance(parse(one)), _luminance(parse(other))))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
