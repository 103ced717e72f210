"""The applications that an administrator has put into apps.d, as the rest of the server sees them.

Run as the person signed in. Where they come from is in `catalogue_files`, what a file may say in
`catalogue_keys`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

DEFAULT_DIRECTORY = "/etc/unixspawner/apps.d"

Shell = Literal["interactive", "login", "none"]


@dataclass(frozen=True, slots=True)
class Upstream:
    """A fixed place to forward to: a Unix socket, or a host and port."""

    socket_path: str | None = None
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is started on demand. Its texts may have placeholders, see `placeholders`."""

    words: tuple[str, ...]
    directory: str = "~"
    environment: tuple[tuple[str, str], ...] = ()
    shell: Shell = "interactive"
    start_timeout: float = 60.0  # seconds
    idle_timeout: float = 0.0  # seconds; 0 means never


@dataclass(frozen=True, slots=True)
class Application:
    """`upstream` is empty for a command until it runs: then it is that run's socket."""

    name: str
    title: str
    description: str
    root: bool
    upstream: Upstream
    icon: str = ""  # the path of an image file
    groups: tuple[str, ...] = ()  # whose members see it; none means everybody
    keep_prefix: bool = False
    command: Command | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that was left out, and why."""

    path: str
    line: int  # 0 when it is about the file as a whole
    reason: str

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        return f"{self.path}{line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    applications: tuple[Application, ...] = ()
    refusals: tuple[Refusal, ...] = field(default=(), compare=False)

    @property
    def root(self) -> Application | None:
        return next((app for app in self.applications if app.root), None)

    def visible(self, groups: Sequence[str]) -> Catalogue:
        """What a person sees who is in these groups."""
        if not any(app.groups for app in self.applications):
            return self
        mine = frozenset(groups)
        seen = (app for app in self.applications if not app.groups or mine & set(app.groups))
        return Catalogue(tuple(seen))

    def find(self, name: str) -> Application | None:
        return next((app for app in self.applications if app.name == name), None)


# Where the catalogue of this moment comes from.
Source = Callable[[], Catalogue]
