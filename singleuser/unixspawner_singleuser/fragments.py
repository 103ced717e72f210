"""Pieces of the pages about applications: forms, logs, and a page that can be sent in pieces.

Run as the person signed in. Everything that comes in as text is escaped here.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from .markup import element
from .pages import END, NO_FRAME, Frame, begin


def frame(title: str, around: Frame = NO_FRAME) -> tuple[bytes, bytes]:
    """What comes before and after the content of a page with that heading."""
    return (begin(title, around) + element("h1", title)).encode(), END.encode()


def whole(title: str, *pieces: str, around: Frame = NO_FRAME) -> bytes:
    before, after = frame(title, around)
    return before + "".join(pieces).encode() + after


def text(value: str) -> str:
    return html.escape(value, quote=True)


def paragraph(value: str) -> str:
    return f"<p>{text(value)}</p>"


def alert(value: str) -> str:
    return f'<p class="alert alert-danger" role="alert">{text(value)}</p>'


def link(title: str, url: str) -> str:
    return f'<a class="btn" href="{text(url)}">{text(title)}</a>'


def button(title: str, url: str, token: str, kind: str = "btn") -> str:
    """A form of one button. The token goes into the address: the gate never reads a body."""
    target = text(f"{url}?_xsrf={token}" if token else url)
    return (
        f'<form method="post" action="{target}">'
        f'<button class="{kind}">{text(title)}</button></form>'
    )


def row(*pieces: str) -> str:
    return f'<div class="links">{"".join(pieces)}</div>'


def log_begin(label: str) -> str:
    """Announced as it grows; reachable by keyboard, since it may have to be scrolled."""
    return f'<pre class="log" role="log" tabindex="0" aria-label="{text(label)}">'


LOG_END = "</pre>"


def log_lines(lines: Iterable[str]) -> str:
    return "".join(f"{text(line)}\n" for line in lines)


def step(value: str) -> str:
    return f"<strong>{text(value)}</strong>\n"


def log_block(label: str, lines: Sequence[str]) -> str:
    if not lines:
        return paragraph("Nothing has been written into the log.")
    return f"{log_begin(label)}{log_lines(lines)}{LOG_END}"


def go_on(url: str) -> str:
    """Takes the browser there at once, without a script."""
    return f'<meta http-equiv="refresh" content="0; url={text(url)}">'
