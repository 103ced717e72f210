"""Our own pages: home, confirmations and refusals, in one look and with nothing unescaped.

Run as the person signed in. No script, no foreign resource; the style is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: Canvas; color: CanvasText }
main { max-width: 40rem; margin: 12vh auto 4rem; padding: 0 1.5rem }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.5rem; margin: 1.5rem 0 }
dt { opacity: .7 } dd { margin: 0; overflow-wrap: anywhere }
nav a { display: inline-block; margin: .5rem .75rem .5rem 0; padding: .45rem 1rem;
  border: 1px solid; border-radius: .5rem; color: inherit; text-decoration: none }
nav a:hover, nav a:focus { background: CanvasText; color: Canvas }
.warning { padding: .75rem 1rem; border-radius: .5rem; background: #b3261e; color: #fff }
.small { opacity: .7; font-size: .9rem }
"""
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


def page(
    title: str,
    *paragraphs: str,
    facts: Sequence[tuple[str, str]] = (),
    links: Sequence[Link] = (),
    unprotected: bool = False,
) -> bytes:
    """A complete document. Every argument is plain text and is escaped here."""
    parts = ['<!doctype html><html lang="en"><head><meta charset="utf-8">']
    parts.append('<meta name="viewport" content="width=device-width, initial-scale=1">')
    parts.append(f"<title>{_text(title)}</title><style>{STYLE}</style></head><body><main>")
    if unprotected:
        parts.append(f'<p class="warning" role="alert">{_text(UNPROTECTED)}</p>')
    parts.append(f"<h1>{_text(title)}</h1>")
    parts.extend(f"<p>{_text(paragraph)}</p>" for paragraph in paragraphs)
    if facts:
        rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts)
        parts.append(f"<dl>{rows}</dl>")
    if links:
        parts.append(f"<nav>{''.join(_anchor(link) for link in links)}</nav>")
    parts.append("</main></body></html>\n")
    return "".join(parts).encode()


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


def _anchor(link: Link) -> str:
    identifier = f' id="{_text(link.id)}"' if link.id else ""
    return f'<a{identifier} href="{_text(link.url)}">{_text(link.title)}</a>'


def _text(text: str) -> str:
    return html.escape(text, quote=True)
