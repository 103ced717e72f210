"""What we installed, written down: the base of the next run and of uninstall."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from . import system
from .errors import AdminError

VERSION = 1


@dataclass
class Manifest:
    """The record, saved after each change, so that an interrupted run is known too."""

    path: Path
    files: dict[str, str] = field(default_factory=dict)  # path: sha256 of what we offered last
    directories: list[str] = field(default_factory=list)  # made by us, parents first
    accounts: list[str] = field(default_factory=list)  # system accounts made by us
    people: list[str] = field(default_factory=list)  # the demo person, when made by us
    groups: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    services: dict[str, str] = field(default_factory=dict)  # name: digest of what it read at start

    def save(self) -> None:
        """Write it, atomically, for everybody to read: it holds no secret."""
        content = {name: value for name, value in vars(self).items() if name != "path"}
        text = json.dumps({"version": VERSION} | content, indent=1, sort_keys=True) + "\n"
        self.path.parent.mkdir(mode=0o755, exist_ok=True)
        if system.read_bytes(self.path) != text.encode():
            system.write_file(self.path, text.encode(), 0o644, 0, 0)

    def remember(self, kind: list[str], name: str) -> None:
        if name not in kind:
            kind.append(name)
        self.save()

    def forget(self, kind: list[str], name: str) -> None:
        if name in kind:
            kind.remove(name)
        self.save()

    def remember_file(self, path: Path, content: bytes) -> None:
        self.files[str(path)] = digest(content)
        self.save()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def load(path: Path) -> Manifest:
    """The record of the last run, or an empty one.

    Raises:
        AdminError: it is there and not one of ours.
    """
    content = system.read_bytes(path)
    if content is None:
        return Manifest(path)
    try:
        return _parse(path, json.loads(content))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise AdminError(
            f"{path} is damaged: restore it from a backup, or move it away and install again."
        ) from None


def _parse(path: Path, table: dict[str, object]) -> Manifest:
    if table.pop("version") != VERSION:
        raise ValueError("another version")
    for name, value in table.items():
        if name in ("files", "services"):
            valid = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
        else:
            valid = isinstance(value, list) and all(isinstance(v, str) for v in value)
        if not valid:
            raise TypeError(name)
    return Manifest(path, **table)  # type: ignore[arg-type]  # names are checked by the call itself
