"""The command line: what is asked for, checked, put together and run.

Run as the person signed in. `--dev` is for people who work on the applications behind it.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace

from .account import current_account, uid_of
from .app import build
from .catalogue import DEFAULT_DIRECTORY
from .catalogue_files import ROOT_ALONE, Shelf, Trusted
from .errors import ConfigurationError
from .pages import UNPROTECTED
from .patient_log import PatientHandler
from .serve import bound_listener, inherited_listener, run
from .settings import Settings, bind_address, for_development, from_environment

log = logging.getLogger("unixspawner_singleuser")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.check_apps:
        from .checking import check

        return check(options.apps, _trusted(options), as_json=options.json)
    logging.basicConfig(
        handlers=[PatientHandler(sys.stderr.fileno())],
        format="%(asctime)s %(levelname)s %(message)s",
        level=logging.INFO,
    )
    # At lower levels these write down headers and addresses, tokens included.
    for name in ("uvicorn.error", "httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        settings = _settings(options)
        listener = _listener(options, settings)
        trusted = _trusted(options)
        application = build(settings, Shelf(options.apps, trusted).current, trusted)
    except ConfigurationError as error:
        log.error("%s", error)
        return 1
    logging.getLogger("unixspawner_singleuser").setLevel(
        logging.DEBUG if settings.debug else logging.INFO
    )
    log.info("Serving %s as %s.", settings.prefix, settings.user)
    if settings.trouble:
        log.warning("%s", settings.trouble)
    run(application, listener)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="unixspawner_singleuser", description=__doc__.partition("\n")[0] if __doc__ else None
    )
    parser.add_argument("--fd", type=int, help="serve on this inherited listening Unix socket")
    parser.add_argument(
        "--hub-account", metavar="NAME", help="ask nobody but a hub that runs as this account"
    )
    parser.add_argument("--apps", default=DEFAULT_DIRECTORY, help="directory of *.toml files")
    parser.add_argument(
        "--dev", action="store_true", help="on 127.0.0.1, without hub and without any sign-in"
    )
    parser.add_argument("--port", type=int, default=8888, help="port for --dev")
    parser.add_argument(
        "--check-apps", action="store_true", help="say what is wrong in that directory, no more"
    )
    parser.add_argument("--json", action="store_true", help="the same for programs")
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> Settings:
    if options.dev:
        return for_development(current_account().name, os.environ)
    settings = from_environment(os.environ)
    if not options.hub_account:
        return settings
    return replace(settings, hub_uid=uid_of(options.hub_account))


def _trusted(options: argparse.Namespace) -> Trusted:
    """Whose files count: root's, and one's own in a directory that one has named oneself."""
    return ROOT_ALONE if options.apps == DEFAULT_DIRECTORY else ROOT_ALONE | {os.getuid()}


def _listener(options: argparse.Namespace, settings: Settings) -> socket.socket:
    if options.dev:
        log.warning("%s http://127.0.0.1:%d/", UNPROTECTED, options.port)
        return bound_listener("127.0.0.1", options.port)
    if options.fd is not None:
        return inherited_listener(options.fd)
    return bound_listener(*bind_address(settings.service_url))
