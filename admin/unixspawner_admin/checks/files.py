"""Owners and modes: of what root and people run, of the configuration, of the state."""

import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from unixspawner_mediator import config as mediator_config
from unixspawner_mediator.config import ConfigError

from .. import paths, release, system
from ..findings import Finding, judge
from ..options import Options

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def check(options: Options) -> Iterator[Finding]:
    hub = options.hub_account
    for path, owner, mode in _expected(hub):
        yield _owner_and_mode(path, owner, mode)
    yield from _places()
    yield _nothing_writable()
    yield _mediator_toml(options)
    yield from _newer_offers()


def _expected(hub: str) -> Iterator[tuple[Path, str, int]]:
    for name in ("mediator", "authenticate", "session-limits", "hub", "server"):
        yield paths.LIBEXEC / name, "root", 0o755
    yield paths.COMMAND, "root", 0o755
    yield paths.SUDOERS, "root", 0o440
    for path in (paths.OPTIONS, paths.ETC / "mediator.toml", paths.LIMITS, paths.HUB_CONFIG):
        yield path, "root", 0o644
    yield paths.STATE, hub, 0o700
    for path in (paths.DATABASE, paths.COOKIE_SECRET, paths.ADMIN_TOKEN):
        yield path, hub, 0o600
    if paths.LOGS.exists():
        yield paths.LOGS, "root", 0o750


def _owner_and_mode(path: Path, owner: str, mode: int) -> Finding:
    status = system.file_status(path)
    if status is None:
        cure = release.installer() if paths.STATE not in path.parents else release.restart()
        return Finding("failure", f"there is no {path}", cure)
    right = (status.uid, status.mode) == (system.uid_of(owner), mode) and status.kind != "link"
    return judge(
        right,
        f"{path} belongs to {owner} with mode {mode:04o}",
        f"chown -h {owner} {path} && chmod {mode:04o} {path}",
        wrong=f"{path} is a {status.kind} of {_name(status.uid)} with mode {status.mode:04o}, "
        f"and should be {owner}'s with {mode:04o}",
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _places() -> Iterator[Finding]:
    """Who can write a directory can put another program in the place of ours."""
    places = {parent for path in (paths.LIBEXEC, paths.ETC, paths.RELEASES) for parent in _up(path)}
    for path in sorted(places):
        status = system.file_status(path)
        if status is not None and (status.uid != 0 or status.mode & _WRITABLE_BY_OTHERS):
            text = f"{path}, where ours are, can be written by others than root"
            yield Finding("failure", text, f"chown root {path} && chmod go-w {path}")


def _up(path: Path) -> list[Path]:
    return [path, *path.parents]


def _nothing_writable() -> Finding:
    open_to_others = [
        path
        for top in (paths.LIBEXEC, paths.ETC)
        for path in [top, *top.rglob("*")]
        if not path.is_symlink() and _is_open(path.lstat())
    ]
    text = "nothing in /etc/unixspawner and libexec can be written by others than root"
    names = shlex.join(map(str, open_to_others[:10]))
    cure = f"chown root {names} && chmod go-w {names}"
    return judge(not open_to_others, text, cure, wrong=f"others than root can write {names}")


def _is_open(status: object) -> bool:
    mode, uid = getattr(status, "st_mode", 0), getattr(status, "st_uid", 0)
    return uid != 0 or bool(mode & _WRITABLE_BY_OTHERS)


def _mediator_toml(options: Options) -> Finding:
    cure = f"editor {mediator_config.PATH}   # docs/administrators.md has all settings"
    try:
        config = mediator_config.read()
    except ConfigError as error:
        return Finding("failure", str(error), cure)
    told = (config.hub_account, config.users_group)
    wanted = (options.hub_account, options.users_group)
    wrong = (
        f"mediator.toml names {told[0]} and {told[1]}, the installer {wanted[0]} and {wanted[1]}"
    )
    return judge(told == wanted, "mediator.toml is valid and means this hub", cure, wrong=wrong)


def _newer_offers() -> Iterator[Finding]:
    """What the installer put beside an edited file, and nobody has looked at yet."""
    places = (paths.ETC, paths.SUDOERS.parent, paths.PAM)
    offers = [*paths.ETC.rglob("*.new")]
    offers += [path for top in places[1:] for path in top.glob("unixspawner*.new")]
    for path in sorted(offers):
        mine = path.with_suffix("")
        text = f"{mine} is your own, and ours has changed: take over what you want, then remove it"
        yield Finding("warning", text, f"diff -u {mine} {path}; rm -i {path}")
