"""Takes back what the manifest says was installed, and nothing else. Runs as root.

Without `purge` the state (database, cookie secret, logs), configuration files that were edited, the
demo person and groups with members stay; so does a record of them, for an installation later.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import marked, pam, paths, services, system
from .changes import Change
from .files import beside
from .manifest import Manifest, digest

_SERVICES = (services.HUB, services.DEMO)
# Outside /etc/unixspawner a file left behind would go on having an effect.
_KEPT_WHEN_EDITED = paths.ETC
_OF_A_RUNNING_HUB = (paths.ADMIN_TOKEN, paths.DRAINING)


@dataclass(frozen=True)
class Leftover:
    """Something that stays, and why."""

    text: str


def plan(manifest: Manifest, purge: bool) -> list[Change]:
    """In the order in which it is safe: first nobody can start anything any more."""
    return [
        *_plan_services(manifest),
        Change("end the servers of all people", _end_servers),
        *_plan_files(manifest, purge),
        *_plan_state(purge),
        *_plan_runtime(),
        *_plan_accounts(manifest, purge),
        *_plan_directories(manifest, purge),
    ]


def plan_end(manifest: Manifest, purge: bool) -> Change:
    """Last of all, since the record goes with it, or says from now on what is left."""
    if purge:
        text = f"remove {paths.OPT} and {paths.COMMAND}"
        return Change(text, lambda: _remove_all(paths.COMMAND, paths.OPT))
    text = f"remove {paths.RELEASES} and {paths.COMMAND}"
    return Change(text, functools.partial(_keep_record, manifest))


def _remove_all(*found: Path) -> None:
    for path in found:
        _remove(path)


def _keep_record(manifest: Manifest) -> None:
    _remove(paths.COMMAND)
    _remove(paths.CURRENT)
    _remove(paths.RELEASES)
    kept = {str(path) for path in _edited(manifest)}
    manifest.files = {name: sha for name, sha in manifest.files.items() if name in kept}
    manifest.directories = [name for name in manifest.directories if Path(name).exists()]
    manifest.groups = [name for name in manifest.groups if system.gid_of(name) is not None]
    manifest.accounts = []
    manifest.services = {}
    manifest.save()
    if not (manifest.files or manifest.people or manifest.groups or paths.STATE.exists()):
        _remove(paths.OPT)


def leftovers(manifest: Manifest, purge: bool) -> list[Leftover]:
    stays = [f"package {name} (apt-get remove {name})" for name in manifest.packages]
    stays += _limits_left(manifest)
    if not purge:
        stays += [f"person {name} (userdel -r {name})" for name in manifest.people]
        stays += [f"{path}, which was edited" for path in _edited(manifest)]
        stays += [f"{paths.METRICS_TOKEN}, which you made"] if paths.METRICS_TOKEN.exists() else []
        stays += [f"group {name}, which has members" for name in _groups_in_use(manifest)]
        stays += [str(path) for path in (paths.STATE, paths.LOGS) if path.exists()]
        stays.append(f"{manifest.path}, the record of this for the next ./install")
    return [Leftover(text) for text in stays]


def _limits_left(manifest: Manifest) -> list[str]:
    """Lines of the administrator's in other PAM services, and what was set for people."""
    program = paths.SESSION_LIMITS
    lines = [
        f"the line with {program} in {path} (sed -i '\\,{program},d' {path})"
        for path in pam.services_that_name(program, paths.PAM)
        if str(path) not in manifest.files
    ]
    slices = sorted(paths.DROP_INS.glob("user-*.slice.d"))
    names = " ".join(path.name.removesuffix(".d") for path in slices)
    held = f"limits that hold until the machine restarts (systemctl revert {names})"
    return [*lines, *([held] if slices else [])]


def _end_servers() -> None:
    marked.end_all(lambda: [process.pid for process in marked.marked_processes()])


def _remove(path: Path) -> None:
    status = system.file_status(path)
    if status is not None and status.kind == "directory":
        system.remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def _change(verb: str, path: Path, apply: Callable[[Path], None] = _remove) -> Change:
    return Change(f"{verb} {path}", functools.partial(apply, path))


def _plan_services(manifest: Manifest) -> list[Change]:
    present = [s for s in _SERVICES if s.name in manifest.services or s.definition.exists()]
    return [
        Change(f"stop and disable {service.name}", functools.partial(_end, service))
        for service in present
    ]


def _end(service: services.Service) -> None:
    services.stop(service)
    services.disable(service)


def _plan_files(manifest: Manifest, purge: bool) -> list[Change]:
    kept = {str(paths.COMMAND)}  # until the end, so that a failure can be put right with it
    if not purge:
        kept |= {str(path) for path in _edited(manifest)}
    # the sudo rules first: from then on nobody can become anybody through us
    order = sorted(manifest.files, key=lambda name: (name != str(paths.SUDOERS), name))
    changes = [_change("remove", Path(name)) for name in order if name not in kept]
    offers = [beside(Path(name)) for name in order]
    changes += [_change("remove", path) for path in offers if path.exists()]
    return changes + _plan_definitions()


def _plan_definitions() -> list[Change]:
    if not services.systemd_runs():
        return []
    return [Change("tell systemd", services.reload_definitions)]


def _edited(manifest: Manifest) -> list[Path]:
    """Configuration that the administrator made his own."""
    edited = []
    for name, offered in manifest.files.items():
        path = Path(name)
        content = system.read_bytes(path) if _KEPT_WHEN_EDITED in path.parents else None
        if content is not None and digest(content) != offered:
            edited.append(path)
    return edited


def _plan_state(purge: bool) -> list[Change]:
    present = [path for path in (paths.STATE, paths.LOGS) if path.exists()]
    if purge:
        return [_change("remove", path) for path in present]
    # what only a running hub has a use for
    changes = [_change("remove", path) for path in _OF_A_RUNNING_HUB if path.exists()]
    # the account that owned it goes; its number may become somebody else's
    return changes + [_change("give to root", path, _give_to_root) for path in present]


def _give_to_root(path: Path) -> None:
    system.give_tree(path, 0, 0)


def _plan_runtime() -> list[Change]:
    runtime = (paths.RUN, paths.RUN_TLS, paths.RUN_DEMO)
    return [_change("remove", path) for path in runtime if path.exists()]


def _plan_accounts(manifest: Manifest, purge: bool) -> list[Change]:
    changes = []
    for name in manifest.people if purge else []:
        changes += _plan_account(name, ["userdel", "--remove", name], f"person {name} and its home")
    for name in manifest.accounts:
        changes += _plan_account(name, ["userdel", name], f"system account {name}")
    kept = [] if purge else _groups_in_use(manifest)
    for name in manifest.groups:
        if name not in kept and system.gid_of(name) is not None:
            delete = functools.partial(_run, ["groupdel", name])
            changes.append(Change(f"remove group {name}", delete))
    return changes


def _plan_account(name: str, command: list[str], what: str) -> list[Change]:
    if system.uid_of(name) is None:
        return []
    return [
        Change(f"end all processes of {name}", functools.partial(_end_account, name)),
        Change(f"remove {what}", functools.partial(_run, command)),
    ]


def _end_account(name: str) -> None:
    marked.end_all(lambda: system.processes_of(name))


def _run(command: list[str]) -> None:
    system.run(command)


def _groups_in_use(manifest: Manifest) -> list[str]:
    return [name for name in manifest.groups if system.members(name)]


def _plan_directories(manifest: Manifest, purge: bool) -> list[Change]:
    """Those that we made, innermost first; what holds something of others stays."""
    made = [Path(name) for name in reversed(manifest.directories)]
    outside = [path for path in made if path != paths.OPT and paths.OPT not in path.parents]
    changes = [_change("remove", paths.ETC)] if purge and paths.ETC.exists() else []
    empty = functools.partial(_change, "remove, when empty,", apply=_remove_empty)
    return changes + [empty(path) for path in outside if path.exists() and path != paths.STATE]


def _remove_empty(path: Path) -> None:
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
