"""What all our own pages have in common: the skeleton, the look, the headers; and the plain page.

Run as the person signed in. No script, no foreign resource; the style is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .markup import Html, element, join

STYLE = Path(__file__).with_name("style.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

CSP = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
UNPROTECTED = "Development mode: nobody has to sign in, and nothing on this address is protected."


@dataclass(frozen=True, slots=True)
class Link:
    title: str
    url: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a page. Without it there is only the machine's name."""

    logo_url: str = ""
    icon_url: str = ""
    home_url: str = ""
    links: Sequence[Link] = ()
    unprotected: bool = False


NO_FRAME = Frame()
END = Html("</main></body></html>\n")


def page(
    title: str,
    *paragraphs: str,
    facts: Sequence[tuple[str, str]] = (),
    links: Sequence[Link] = (),
    frame: Frame = NO_FRAME,
) -> bytes:
    """A heading, what there is to say, and where to go. Text is escaped."""
    says = [element("p", paragraph) for paragraph in paragraphs]
    body = element("div", *says, fact_list(facts) if facts else None, class_="card")
    ways = [
        element("a", link.title, id=link.id, href=link.url, class_="btn btn-primary")
        for link in links
    ]
    more = element("div", *ways, class_="links") if ways else None
    return document(title, element("h1", title), body, more, frame=frame, narrow=True)


def document(
    title: str, *content: Html | None, frame: Frame = NO_FRAME, narrow: bool = False
) -> bytes:
    """A complete document around its content."""
    return join(begin(title, frame, narrow=narrow), *content, END).encode()


def begin(title: str, frame: Frame = NO_FRAME, *, narrow: bool = False) -> Html:
    """Everything in front of the content, for a document that is sent in pieces. `END` ends it."""
    machine = platform.node()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title if machine in title else f"{title} - {machine}"),
        element("link", rel="icon", href=frame.icon_url) if frame.icon_url else None,
        element("style", Html(STYLE)),
    )
    skip = element("a", "Skip to the content", class_="skip-link", href="#main")
    main = '<main id="main" class="narrow">' if narrow else '<main id="main">'
    start = '<!doctype html><html lang="en">'
    return join(Html(start), head, Html("<body>"), skip, _bar(frame, machine), Html(main))


def fact_list(facts: Sequence[tuple[str, str]]) -> Html:
    """Names and values, side by side; a value may be markup."""
    rows = [join(element("dt", name), element("dd", value)) for name, value in facts]
    return element("dl", *rows, class_="facts")


def html_headers() -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", CSP.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
    ]


def json_headers() -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]


def json_message(message: str) -> bytes:
    return json.dumps({"message": message}).encode()


def _bar(frame: Frame, machine: str) -> Html:
    logo = element("img", src=frame.logo_url, alt=True) if frame.logo_url else None
    name = "a" if frame.home_url else "span"
    brand = element(name, logo, machine, class_="brand", href=frame.home_url)
    ways = [element("a", link.title, id=link.id, href=link.url) for link in frame.links]
    nav = element("nav", *ways, aria_label="Ways out") if ways else None
    warning = (
        element("p", UNPROTECTED, class_="alert alert-danger banner", role="alert")
        if frame.unprotected
        else None
    )
    return join(element("header", element("div", brand, nav), class_="bar"), warning)
