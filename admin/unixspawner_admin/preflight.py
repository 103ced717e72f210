"""What must be true before the installer changes anything; each failure is one sentence."""

import os
import socket
import ssl
from pathlib import Path

from . import accounts, release, services, system, wanted
from .context import Context
from .errors import AdminError, OptionError
from .options import Options


def check(context: Context, remembered: dict[str, object]) -> None:
    require_root()
    release.require_complete(context.source)
    _require_same_accounts(context.options, remembered, installed=bool(context.manifest.accounts))
    _require_certificate(context.options)
    accounts.require_usable(context.options, context.manifest)
    _require_free_port(context.options)
    wanted.sudoers(context)  # every template that it needs can be filled in


def require_root() -> None:
    if os.geteuid() != 0:
        raise AdminError("This must be run by root: try it with sudo.")


def _require_same_accounts(options: Options, old: dict[str, object], installed: bool) -> None:
    for name in ("hub_account", "pam_account"):
        if installed and name in old and old[name] != getattr(options, name):
            raise OptionError(
                f"--{name.replace('_', '-')} cannot change while installed (now {old[name]}): run "
                "`unixspawner uninstall` first; it keeps the database."
            )


def _require_certificate(options: Options) -> None:
    if not options.tls_cert:
        return
    for option, path in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key)):
        if not Path(path).is_file():
            raise OptionError(f"{option} {path} does not exist or is not a file.")
    try:
        # the empty password makes OpenSSL fail instead of asking at the terminal
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_cert, options.tls_key, password="")
    except (ssl.SSLError, OSError) as error:
        raise OptionError(
            f"{options.tls_cert} and {options.tls_key} are no certificate and unencrypted private "
            f"key that belong together: {error}."
        ) from None


def _require_free_port(options: Options) -> None:
    if services.answers(options.url, options.hub_account, timeout=1.0):
        return  # ourselves
    family = socket.AF_INET6 if ":" in options.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.bind, options.port))
        except OSError as error:
            _explain_bind(options, error)


def _explain_bind(options: Options, error: OSError) -> None:
    owner = services.listener_uid(options.bind, options.port)
    if owner is not None and owner == system.uid_of(options.hub_account):
        return  # our own proxy, left over or about to be restarted
    raise OptionError(
        f"Port {options.port} on {options.bind} cannot be used ({error.strerror}): choose another "
        "with --port or --bind, or stop the program that has it."
    )
