"""Every file and directory of an installation, with its content, owner and mode.

The table in admin/README.md lists the same, for people.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from . import accounts, pam, paths, release, services, sudo, system, zipapps
from .context import Context
from .files import WantedDirectory, WantedFile
from .options import render as render_options
from .render import render

_LAUNCHERS = ("hub", "server")


def directories(context: Context) -> list[WantedDirectory]:
    """Parents first."""
    hub = context.options.hub_account
    wanted = [
        WantedDirectory(paths.OPT),
        WantedDirectory(paths.RELEASES),
        WantedDirectory(paths.LIBEXEC),
        WantedDirectory(paths.ETC),
        WantedDirectory(paths.ADDITIONS),
        WantedDirectory(paths.APPLICATIONS),
        WantedDirectory(paths.TEMPLATES),
        WantedDirectory(paths.STATE, 0o700, hub, hub_group(hub)),
    ]
    if not services.systemd_runs():
        wanted.append(WantedDirectory(paths.LOGS, 0o750, "root", log_group()))
    return wanted


def hub_group(hub: str) -> str:
    """An existing hub account may have another primary group than one of its name."""
    return hub if system.uid_of(hub) is None else system.primary_group(hub)


def log_group() -> str:
    """Who may read logs: Debian's group for that, or root alone."""
    return "adm" if system.gid_of("adm") is not None else "root"


def programs(context: Context) -> list[WantedFile]:
    source, pamela = context.source / "mediator", _pamela(context.release)
    known = zipapps.known(_mediator_toml(context).content, _limits_toml(context).content)
    zips = {
        "mediator": zipapps.mediator(source, known),
        "authenticate": zipapps.authenticate(source, known, pamela),
        "session-limits": zipapps.session_limits(source, known),
    }
    wanted = [
        *(WantedFile(paths.LIBEXEC / name, content, 0o755) for name, content in zips.items()),
        _template(context, "config/libexec/command", paths.COMMAND, mode=0o755),
    ]
    for name in _launchers(context):
        file = _template(context, f"config/libexec/{name}", paths.LIBEXEC / name, mode=0o755)
        wanted.append(file)
    return [*wanted, *_beside_the_command(context.source / "config")]


def _beside_the_command(config: Path) -> list[WantedFile]:
    """Its manual page, and what shells offer after Tab."""
    page = WantedFile(paths.MAN_PAGE, (config / "man/unixspawner.8").read_bytes())
    completions = [
        WantedFile(path, (config / "completion" / name).read_bytes())
        for name, path in paths.COMPLETIONS.items()
    ]
    return [page, *completions]


def _launchers(context: Context) -> Iterator[str]:
    yield from _LAUNCHERS
    if services.systemd_runs():
        yield "end-proxy"
    if context.options.demo:
        yield "demo"


def _pamela(built: Path) -> bytes:
    """The module from the release; empty in a dry run that has none yet."""
    if not release.is_complete(built):
        return b""
    return (release.site_packages(built) / "pamela.py").read_bytes()


def _mediator_toml(context: Context) -> WantedFile:
    return _template(context, "config/mediator.toml", paths.ETC / "mediator.toml", editable=True)


def _limits_toml(context: Context) -> WantedFile:
    return _plain(context, "config/limits.toml", paths.LIMITS)


def configuration(context: Context) -> list[WantedFile]:
    """The sudo rules come last: when they hold, everything that they name is in place."""
    options = render_options(context.options).encode()
    wanted = [
        WantedFile(paths.OPTIONS, options),
        _plain(context, "config/jupyterhub_config.py", paths.HUB_CONFIG),
        *_pages(context),
        _mediator_toml(context),
        _limits_toml(context),
        *_pam(context),
        *_service_files(context),
    ]
    if context.options.demo:
        wanted.append(_plain(context, "config/apps.d/demo.toml", paths.APPLICATIONS / "demo.toml"))
    return [*wanted, sudoers(context)]


def _pages(context: Context) -> list[WantedFile]:
    """The hub's pages. Their style is part of the release, which serves it."""
    found = sorted((context.source / "config/templates").glob("*.html"))
    return [
        _plain(context, f"config/templates/{path.name}", paths.TEMPLATES / path.name)
        for path in found
    ]


def sudoers(context: Context) -> WantedFile:
    content = fill(context, "sudoers.d/unixspawner")
    return WantedFile(paths.SUDOERS, content, 0o440, editable=True, check=sudo.require_valid)


def _pam(context: Context) -> list[WantedFile]:
    names = ("unixspawner", "unixspawner-session")
    return [
        _template(context, f"config/pam.d/{name}", paths.PAM / name, editable=True)
        for name in names
    ]


def _service_files(context: Context) -> list[WantedFile]:
    enabled = [services.HUB, services.DEMO] if context.options.demo else [services.HUB]
    if services.systemd_runs():
        units = [
            _template(context, f"config/systemd/{service.name}.service", service.unit)
            for service in enabled
        ]
        return [*units, *_systemd_extras(context)]
    scripts = [
        _template(
            context, f"config/init.d/{service.name}", service.script, mode=0o755, editable=True
        )
        for service in enabled
    ]
    rotation = Path("/etc/logrotate.d/unixspawner")
    return [*scripts, _plain(context, "config/logrotate.d/unixspawner", rotation)]


def _systemd_extras(context: Context) -> list[WantedFile]:
    return [
        _template(
            context, f"config/{folder}/unixspawner.conf", Path(f"/etc/{folder}/unixspawner.conf")
        )
        for folder in ("sysusers.d", "tmpfiles.d")
    ]


def read_by(service: services.Service, context: Context) -> list[Path]:
    """What a service reads at its start: a change there is the reason to restart it."""
    if service == services.DEMO:
        return [paths.LIBEXEC / "demo", service.definition]
    own = [paths.LIBEXEC / "hub", service.definition, paths.OPTIONS, paths.HUB_CONFIG]
    additions = sorted(paths.ADDITIONS.glob("*.py"))
    templates = sorted(paths.TEMPLATES.glob("*.html"))
    tls = [Path(path) for path in (context.options.tls_cert, context.options.tls_key) if path]
    return [*own, *additions, *templates, *tls]


def _plain(context: Context, name: str, path: Path) -> WantedFile:
    return WantedFile(path, (context.source / name).read_bytes(), editable=True)


def _template(
    context: Context, name: str, path: Path, mode: int = 0o644, editable: bool = False
) -> WantedFile:
    return WantedFile(path, fill(context, name), mode, editable=editable)


def fill(context: Context, name: str) -> bytes:
    template = (context.source / name).read_text("utf-8")
    return render(template, _values(context), _conditions(context)).encode()


def _values(context: Context) -> Mapping[str, str]:
    options = context.options
    return {
        "hub_account": options.hub_account,
        "pam_account": options.pam_account,
        "checking_account": accounts.checking_account(options),
        "users_group": options.users_group,
        "admins_group": options.admins_group,
        "tls_cert": options.tls_cert,
        "tls_key": options.tls_key,
        "libexec": str(paths.LIBEXEC),
        "command": str(paths.COMMAND),
        "release": str(context.release),
        "log_group": log_group(),
        **pam.stacks(),
    }


def _conditions(context: Context) -> Mapping[str, bool]:
    return {
        "tls": bool(context.options.tls_cert),
        "demo": context.options.demo,
        "mkhomedir": context.options.mkhomedir and not pam.makes_homes(),
        "shadow": accounts.has_shadow_group(),
        "systemd": services.systemd_runs(),
        "classic-sudo": not sudo.is_sudo_rs(),
        "own-slices": pam.makes_slices() and not sudo.is_sudo_rs(),
    }
