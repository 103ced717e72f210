"""Which files and directories should be there, and what must change for that.

Files are of two kinds. A program is ours and always made right. A configuration file belongs to the
administrator as soon as he edits it: then his stays, and a newer one of ours is put beside it as
`.new`, once.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from . import system
from .changes import Change
from .manifest import Manifest, digest


@dataclass(frozen=True)
class WantedFile:
    path: Path
    content: bytes
    mode: int = 0o644
    group: str = "root"
    editable: bool = False
    check: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class WantedDirectory:
    path: Path
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


def plan_directory(wanted: WantedDirectory, manifest: Manifest) -> list[Change]:
    status = system.file_status(wanted.path)
    if status is None:
        make = functools.partial(_make_directory, wanted, manifest)
        return [Change(f"create directory {wanted.path}", make)]
    uid, gid = system.uid_of(wanted.owner), system.gid_of(wanted.group)
    if (status.uid, status.gid, status.mode) == (uid, gid, wanted.mode):
        return []
    text = f"set owner and mode of {wanted.path} to {wanted.owner}:{wanted.group} {wanted.mode:04o}"
    return [Change(text, functools.partial(_give_directory, wanted))]


def plan_file(wanted: WantedFile, manifest: Manifest) -> list[Change]:
    """What brings one file to what it should be. Two equal runs: nothing the second time."""
    status = system.file_status(wanted.path)
    current = system.read_bytes(wanted.path)
    write = functools.partial(_write, wanted, manifest)
    if status is None:
        return [Change(f"create {wanted.path}", write)]
    if current != wanted.content:
        if is_edited(wanted, current, manifest):
            return _offer(wanted, manifest)
        return [Change(f"update {wanted.path}", write)]
    owner = (status.uid, status.gid, status.mode)
    if owner != (0, system.gid_of(wanted.group), wanted.mode):
        return [Change(f"set owner and mode of {wanted.path} to {wanted.mode:04o}", write)]
    if manifest.files.get(str(wanted.path)) != digest(wanted.content):
        return [Change(f"take note of {wanted.path}", write)]
    return []


def is_edited(wanted: WantedFile, current: bytes | None, manifest: Manifest) -> bool:
    """Whether the administrator's own work is there: not what we offered last, nor now."""
    if not wanted.editable or current is None:
        return False
    return digest(current) not in (manifest.files.get(str(wanted.path)), digest(wanted.content))


def _offer(wanted: WantedFile, manifest: Manifest) -> list[Change]:
    if manifest.files.get(str(wanted.path)) == digest(wanted.content):
        return []  # ours has not changed since it was last offered
    text = f"keep your own {wanted.path} and put ours beside it as {beside(wanted.path).name}"
    return [Change(text, functools.partial(_write_beside, wanted, manifest))]


def beside(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def plan_removals(wanted: Iterable[WantedFile], manifest: Manifest) -> list[Change]:
    """Files of an earlier run that are no longer part of it."""
    kept = {str(file.path) for file in wanted}
    gone = sorted(manifest.files.keys() - kept)
    return [
        Change(f"remove {path}", functools.partial(remove_file, Path(path), manifest))
        for path in gone
    ]


def remove_file(path: Path, manifest: Manifest) -> None:
    path.unlink(missing_ok=True)
    beside(path).unlink(missing_ok=True)
    manifest.files.pop(str(path), None)
    manifest.save()


def _make_directory(wanted: WantedDirectory, manifest: Manifest) -> None:
    make_parents(wanted.path, manifest)
    manifest.remember(manifest.directories, str(wanted.path))
    wanted.path.mkdir(mode=0o700)
    _give_directory(wanted)


def make_parents(path: Path, manifest: Manifest) -> None:
    for parent in reversed(path.parents):
        if not parent.exists():
            manifest.remember(manifest.directories, str(parent))
            parent.mkdir(mode=0o755)


def _give_directory(wanted: WantedDirectory) -> None:
    uid, gid = system.uid_of(wanted.owner), system.gid_of(wanted.group)
    assert uid is not None and gid is not None, wanted  # accounts come before directories
    system.set_owner_and_mode(wanted.path, wanted.mode, uid, gid)


def _write(wanted: WantedFile, manifest: Manifest) -> None:
    make_parents(wanted.path, manifest)
    _write_to(wanted.path, wanted)
    beside(wanted.path).unlink(missing_ok=True)
    manifest.remember_file(wanted.path, wanted.content)


def _write_beside(wanted: WantedFile, manifest: Manifest) -> None:
    _write_to(beside(wanted.path), wanted)
    manifest.remember_file(wanted.path, wanted.content)


def _write_to(path: Path, wanted: WantedFile) -> None:
    gid = system.gid_of(wanted.group)
    assert gid is not None, wanted
    system.write_file(path, wanted.content, wanted.mode, 0, gid, wanted.check)
