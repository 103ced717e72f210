"""Whether an administrator lets no new servers start for a while; runs in the hub.

`unixspawner drain` leaves the message in a file among the hub's state. It is looked at before each
start and for each page, so that it counts at once.
"""

import html
import os
from collections.abc import Callable
from typing import Any

from unixspawner_mediator.protocol import printable

from .client import AskError

FILE = "/var/lib/unixspawner/draining"
MAX_MESSAGE = 500  # characters
_WITHOUT_WORDS = "try again later."


def message() -> str | None:
    """What the administrator says; None while servers may start.

    A file that cannot be read is a drain too: somebody meant something by it.
    """
    try:
        with open(FILE, encoding="utf-8", errors="replace") as file:
            text = file.read(4 * MAX_MESSAGE).strip()
    except FileNotFoundError:
        return None
    except OSError:
        text = ""
    said = printable(text, MAX_MESSAGE) or _WITHOUT_WORDS
    return said if said.endswith((".", "!", "?")) else f"{said}."


def is_on() -> bool:
    return os.path.lexists(FILE)


def require_off() -> None:
    """Refuse a start during a drain, with the administrator's words."""
    said = message()
    if said is not None:
        raise AskError("draining", f"No new servers start at the moment: {said}")


def announcement(otherwise: str = "") -> Callable[[Any], str]:
    """For JupyterHub's `template_vars`: what its pages show above everything else, as HTML."""

    def for_the_page(_user: Any) -> str:
        said = message()
        if said is None:
            return otherwise
        return f"No new servers start at the moment: {html.escape(said)} Running servers go on."

    return for_the_page
