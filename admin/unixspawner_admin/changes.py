"""A change that the installer would make: what to say and how to do it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """`text` completes "would …" in a dry run and stands on its own otherwise."""

    text: str
    apply: Callable[[], None]
