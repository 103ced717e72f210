"""Installs or updates unixspawner: run by root, by ./install, from a clone.

The story is in `_steps`. Each step compares what is with what should be and changes the
difference; a second run finds none. Everything is checked before the first change.
"""

import fcntl
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import (
    accounts,
    demo,
    files,
    manifest,
    options,
    paths,
    preflight,
    release,
    services,
    system,
    wanted,
)
from .changes import Change
from .context import Context
from .errors import AdminError


@dataclass(frozen=True)
class Step:
    title: str
    plan: Callable[[Context], list[Change]]


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        return _install(sys.argv[1:] if arguments is None else arguments)
    except AdminError as error:
        print(f"install: {error}", file=sys.stderr)
        return 1


def _install(arguments: Sequence[str]) -> int:
    os.umask(0o022)
    text = system.read_text(paths.OPTIONS)
    remembered = {} if text is None else options.read_remembered(text)
    chosen, run = options.parse(arguments, remembered)
    preflight.require_root()
    source = Path(__file__).resolve().parents[2]
    release.require_complete(source)
    place = paths.RELEASES / release.name(source)
    context = Context(chosen, run, source, place, manifest.load(paths.MANIFEST))
    with _only_one():
        preflight.check(context, remembered)
        password = demo.make_password()
        is_new = bool(demo.plan(context.options, context.manifest, password))
        changed = [_do(context, number, step) for number, step in enumerate(_steps(password), 1)]
        _report(context, any(changed), password if is_new else None)
        _warn_of_moved_pages(chosen, remembered)
    return 0


@contextmanager
def _only_one() -> Iterator[None]:
    """A lock that leaves no file behind: two installers at once would undo each other's work."""
    descriptor = os.open("/usr/local", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise AdminError("Another ./install or uninstall is running: wait for its end.") from None
    finally:
        os.close(descriptor)


def _steps(password: str) -> list[Step]:
    return [
        Step("System packages", plan_packages),
        Step("Accounts and groups", plan_accounts),
        Step("Directories", plan_directories),
        Step("Release", plan_release),
        Step("Programs", plan_programs),
        Step("Configuration", plan_configuration),
        Step("Demo person", lambda c: demo.plan(c.options, c.manifest, password)),
        Step("Services", plan_services),
        Step("Old releases", plan_pruning),
    ]


def _do(context: Context, number: int, step: Step) -> bool:
    changes = step.plan(context)
    print(f"[{number}/9] {step.title}: {'' if changes else 'nothing to do'}", flush=True)
    for change in changes:
        print(f"      {'would ' if context.run.dry_run else ''}{change.text}", flush=True)
        if not context.run.dry_run:
            change.apply()
    return bool(changes)


def plan_packages(context: Context) -> list[Change]:
    """./install has installed them already; here they are only written down."""
    new = [name for name in context.run.packages if name not in context.manifest.packages]
    remember = functools.partial(context.manifest.remember, context.manifest.packages)
    return [Change(f"install package {name}", functools.partial(remember, name)) for name in new]


def plan_accounts(context: Context) -> list[Change]:
    return accounts.plan(context.options, context.manifest)


def plan_directories(context: Context) -> list[Change]:
    changes = []
    for directory in wanted.directories(context):
        changes += files.plan_directory(directory, context.manifest)
    return changes + _plan_state_owner(context)


def _plan_state_owner(context: Context) -> list[Change]:
    """The state of an earlier installation: uninstall gave it to root."""
    database = system.file_status(paths.STATE / "jupyterhub.sqlite")
    hub = context.options.hub_account
    if database is None or database.uid == system.uid_of(hub):
        return []
    return [Change(f"give the state in {paths.STATE} back to {hub}", lambda: _give_state(hub))]


def _give_state(hub: str) -> None:
    uid, gid = system.uid_of(hub), system.gid_of(wanted.hub_group(hub))
    assert uid is not None and gid is not None
    system.give_tree(paths.STATE, uid, gid)


def plan_release(context: Context) -> list[Change]:
    changes = []
    if not release.is_complete(context.release):
        build = functools.partial(release.build, context.source, context.release)
        changes.append(Change(f"build {context.release} (takes a while)", build))
    elif release.noted_source(context.release) != str(context.source):
        note = functools.partial(release.note_source, context.source, context.release)
        changes.append(Change(f"note that {context.release} is from {context.source}", note))
    if not release.is_current(context.release):
        point = functools.partial(release.make_current, context.release)
        changes.append(Change(f"make it the current release, {paths.CURRENT}", point))
    return changes


def plan_programs(context: Context) -> list[Change]:
    """In a dry run before the first release, the content of `authenticate` is not known in full."""
    return _plan_files(context, wanted.programs(context))


def plan_configuration(context: Context) -> list[Change]:
    return _plan_files(context, wanted.configuration(context))


def _plan_files(context: Context, wanted_files: list[files.WantedFile]) -> list[Change]:
    changes = []
    for file in wanted_files:
        changes += files.plan_file(file, context.manifest)
    return changes


def plan_services(context: Context) -> list[Change]:
    changes = _plan_obsolete(context)
    for service in _wanted_services(context):
        changes += _plan_service(service, context)
    return changes


def _wanted_services(context: Context) -> list[services.Service]:
    """The application first: the first person to arrive finds it."""
    return [services.DEMO, services.HUB] if context.options.demo else [services.HUB]


def _plan_obsolete(context: Context) -> list[Change]:
    """What an earlier run installed and this one does not, such as the demo after --no-demo."""
    changes = []
    if services.DEMO.name in context.manifest.services and not context.options.demo:
        end = functools.partial(end_service, services.DEMO, context.manifest)
        changes.append(Change(f"stop and disable {services.DEMO.name}", end))
    every = [*wanted.programs(context), *wanted.configuration(context)]
    return changes + files.plan_removals(every, context.manifest)


def end_service(service: services.Service, record: manifest.Manifest) -> None:
    services.stop(service)
    services.disable(service)
    record.services.pop(service.name, None)
    record.save()


def _plan_service(service: services.Service, context: Context) -> list[Change]:
    changes = []
    if not services.is_enabled(service):
        changes.append(Change(f"start {service.name} at boot", lambda: services.enable(service)))
    if not context.run.start:
        return changes
    begin = functools.partial(_start, service, context)
    if not services.runs(service):
        changes.append(Change(f"start {service.name}", begin))
    elif _reads_something_new(service, context):
        changes.append(Change(f"restart {service.name}: what it reads has changed", begin))
    return changes


def _reads_something_new(service: services.Service, context: Context) -> bool:
    """Against its last start; in a dry run also what would be written before this."""
    reads = wanted.read_by(service, context)
    now = services.digest_of(reads, str(context.release))
    every = [*wanted.programs(context), *wanted.configuration(context)]
    pending = {file.path for file in every if files.plan_file(file, context.manifest)}
    return context.manifest.services.get(service.name) != now or not pending.isdisjoint(reads)


def _start(service: services.Service, context: Context) -> None:
    services.reload_definitions()
    services.prepare_runtime(service)
    services.start(service)
    reads = services.digest_of(wanted.read_by(service, context), str(context.release))
    context.manifest.services[service.name] = reads
    context.manifest.save()


def plan_pruning(context: Context) -> list[Change]:
    return [
        Change(f"remove {path}, nothing runs from it", functools.partial(system.remove_tree, path))
        for path in release.unused(context.release)
    ]


def _report(context: Context, changed: bool, password: str | None) -> None:
    if context.run.dry_run:
        print("\nThis was a dry run: nothing was changed.")
        return
    print("" if changed else "\nNothing changed: everything was as it should be.")
    chosen = context.options
    if context.run.start:
        print(f"The service answers at {chosen.url}")
    if chosen.demo:
        print(demo.what_to_say(chosen, context.manifest, password))
    print(f"To let somebody in: usermod -aG {chosen.users_group} NAME")


def _warn_of_moved_pages(chosen: options.Options, remembered: dict[str, object]) -> None:
    if remembered.get("base_url", chosen.base_url) != chosen.base_url:
        print(
            "All pages have moved. Servers that run already stay at the old path and are not "
            "found until they are stopped and started again on the page Home."
        )
    had_tls = bool(remembered.get("tls_cert", chosen.tls_cert))
    if had_tls != bool(chosen.tls_cert):
        print(
            "Servers that run already keep their cookies as they were, with or without TLS: people "
            "whom theirs does not let in stop and start it on the page Home."
        )


if __name__ == "__main__":
    sys.exit(main())
