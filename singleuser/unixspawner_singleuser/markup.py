"""HTML in which nothing is left unescaped: text is escaped on its way in, unless it is markup.

Run as the person signed in. What is shown comes from account names, files and visitors.
"""

from __future__ import annotations

import html

_VOID = frozenset({"br", "img", "input", "link", "meta"})
Child = str | None  # None: nothing
Attribute = str | bool | None


class Html(str):
    """Markup, made by the functions below or written in this package's own source."""

    __slots__ = ()


def text(value: str) -> Html:
    """Escaped, also for use between double quotes."""
    return value if isinstance(value, Html) else Html(html.escape(value, quote=True))


def join(*children: Child) -> Html:
    return Html("".join(text(child) for child in children if child is not None))


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Html:
    """`class_` and `aria_label` become class and aria-label; False, None and "" leave one out.

    An empty text is written as True: `alt=True` gives alt="".
    """
    begin = f"<{tag}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(begin) if tag in _VOID else Html(f"{begin}{join(*children)}</{tag}>")


def _attribute(key: str, value: Attribute) -> str:
    if not value:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f' {name}=""' if value is True else f' {name}="{text(value)}"'
