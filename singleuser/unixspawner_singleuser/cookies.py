"""Writing Set-Cookie headers, with the attributes that the hub's settings ask for.

Run as the person signed in.
"""

from __future__ import annotations

from .request import Incoming, browser_scheme
from .settings import Settings

SESSION_ID_COOKIE = "jupyterhub-session-id"
XSRF_COOKIE = "_xsrf"


def session_cookie(settings: Settings, request: Incoming, value: str) -> bytes:
    """The cookie that keeps a visitor signed in; gone when the browser closes unless set."""
    return _cookie(
        settings.session_cookie,
        value,
        path=settings.cookie_path,
        settings=settings,
        secure=is_secure(settings, request),
        http_only=True,
        max_age=settings.cookie_options.max_age,
    )


def state_cookie(
    settings: Settings, request: Incoming, name: str, value: str, *, max_age: int
) -> bytes:
    return _cookie(
        name,
        value,
        path=settings.cookie_path,
        settings=settings,
        secure=is_secure(settings, request),
        http_only=True,
        max_age=max_age,
    )


def xsrf_cookie(settings: Settings, request: Incoming, value: str) -> bytes:
    """Readable by scripts on purpose: they copy it into a header."""
    return _cookie(
        XSRF_COOKIE,
        value,
        path=settings.prefix,
        settings=settings,
        secure=is_secure(settings, request),
        http_only=False,
        max_age=None,
    )


def cleared_cookie(settings: Settings, request: Incoming, name: str, path: str) -> bytes:
    # A browser refuses to touch a __Host- cookie without Secure, even to delete it.
    return _cookie(
        name,
        "",
        path=path,
        settings=settings,
        secure=is_secure(settings, request),
        http_only=True,
        max_age=0,
    )


def is_secure(settings: Settings, request: Incoming) -> bool:
    return (
        settings.host_prefix_cookies
        or settings.cookie_options.secure
        or settings.public_url.startswith("https:")
        or browser_scheme(request) == "https"
    )


def _cookie(
    name: str,
    value: str,
    *,
    path: str,
    settings: Settings,
    secure: bool,
    http_only: bool,
    max_age: int | None,
) -> bytes:
    options = settings.cookie_options
    parts = [f"{name}={value}", f"Path={path}", f"SameSite={options.same_site or 'Lax'}"]
    if options.domain and not settings.host_prefix_cookies:
        parts.append(f"Domain={options.domain}")
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if secure:
        parts.append("Secure")
    if http_only:
        parts.append("HttpOnly")
    return "; ".join(parts).encode("latin-1")
