"""The installer's options: parsed from the command line and install.toml, checked, remembered.

Pure. Whoever holds an `Options` knows that every single value was checked.
"""

import argparse
import ipaddress
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from .errors import OptionError

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}", re.ASCII)  # what useradd(8) accepts everywhere
_BASE_URL = re.compile(r"/(?:[A-Za-z0-9._~-]+/)*", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9._/@+-]+", re.ASCII)  # goes into scripts and units unquoted
# Groups that come with rights of their own; to be in one of them must not follow from signing in.
_POWERFUL_GROUPS = frozenset({"root", "sudo", "wheel", "shadow", "adm", "disk", "docker"})


@dataclass(frozen=True)
class Options:
    """What an administrator can choose; install.toml holds exactly these."""

    bind: str = "127.0.0.1"
    port: int = 8000
    base_url: str = "/"
    users_group: str = "jupyterhub-users"
    admins_group: str = "jupyterhub-admins"
    hub_account: str = "jupyterhub"
    pam_account: str = "jupyterhub-pam"
    tls_cert: str = ""
    tls_key: str = ""
    insecure_http: bool = False
    mkhomedir: bool = False
    idle_hours: int = 72
    demo: bool = False

    def __post_init__(self) -> None:
        _check_address(self)
        _check_names(self)
        _check_idle_hours(self)
        _check_protection(self)

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.bind).is_loopback

    @property
    def url(self) -> str:
        """The address for people; an address that stands for all is shown as this machine's."""
        scheme = "https" if self.tls_cert else "http"
        address = ipaddress.ip_address(self.bind)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "[::1]"
        else:
            host = f"[{address}]" if address.version == 6 else str(address)
        return f"{scheme}://{host}:{self.port}{self.base_url}"


@dataclass(frozen=True)
class Run:
    """How this one run of the installer behaves; never remembered."""

    dry_run: bool = False
    start: bool = True
    packages: tuple[str, ...] = ()  # installed a moment ago by ./install, or missing in a dry run


def parse(arguments: Sequence[str], remembered: dict[str, object]) -> tuple[Options, Run]:
    """Options of this run: the command line first, then what was remembered, then the defaults."""
    given = vars(_parser().parse_args(arguments))
    run = Run(
        dry_run=given.pop("dry_run", False),
        start=not given.pop("no_start", False),
        packages=tuple(given.pop("packages", "").split()),
    )
    if given.pop("no_tls", False):
        given |= {"tls_cert": "", "tls_key": ""}
    if "base_url" in given:
        given["base_url"] = normalise_base_url(given["base_url"])
    return _options(remembered | given), run


def normalise_base_url(text: str) -> str:
    """`lab`, `/lab` and `/lab/` all mean `/lab/`."""
    stripped = text.strip("/")
    return f"/{stripped}/" if stripped else "/"


def read_remembered(text: str) -> dict[str, object]:
    """What install.toml says, checked for names and types.

    Raises:
        OptionError: not TOML, an unknown setting, or a value of the wrong type.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"/etc/unixspawner/install.toml is not valid TOML: {error}.") from None
    types = {field.name: type(field.default) for field in fields(Options)}
    for name, value in table.items():
        if name not in types or type(value) is not types[name]:
            raise OptionError(f"/etc/unixspawner/install.toml: {name} is unknown or mistyped.")
    return table


def render(options: Options) -> str:
    """install.toml. JSON's strings, numbers and booleans are TOML's too."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in asdict(options).items()]
    head = (
        "# The options of the last ./install, which keeps them. Change them there: ./install --help"
    )
    return "\n".join([head, *lines, ""])


def _options(values: dict[str, object]) -> Options:
    return Options(**values)  # type: ignore[arg-type]  # types were checked where they came from


def _check_address(options: Options) -> None:
    try:
        ipaddress.ip_address(options.bind)
    except ValueError:
        raise OptionError(
            f"--bind {options.bind!r} is not an IP address: give one of this machine's, "
            "such as 127.0.0.1, or 0.0.0.0 for all."
        ) from None
    if not 1 <= options.port <= 65535:
        raise OptionError(f"--port {options.port} is not a port: give a number from 1 to 65535.")
    if not _BASE_URL.fullmatch(options.base_url):
        raise OptionError(
            f"--base-url {options.base_url!r} has characters that it must not have: "
            "use letters, digits and . _ ~ - between slashes, such as /lab."
        )


def _check_names(options: Options) -> None:
    names = {
        "--users-group": options.users_group,
        "--admins-group": options.admins_group,
        "--hub-account": options.hub_account,
        "--pam-account": options.pam_account,
    }
    for option, name in names.items():
        if not _NAME.fullmatch(name):
            raise OptionError(
                f"{option} {name!r} is not a Unix name: start with a lower-case letter and use "
                "at most 31 lower-case letters, digits, _ and -."
            )
        if name in _POWERFUL_GROUPS:
            raise OptionError(f"{option} {name} has rights of its own: choose another name.")
    if len(set(names.values())) < len(names):
        raise OptionError("The two groups and the two accounts must have four different names.")


def _check_idle_hours(options: Options) -> None:
    if not 0 <= options.idle_hours <= 24 * 365:
        raise OptionError(
            f"--idle-hours {options.idle_hours} is out of range: give hours up to 8760, or 0 to "
            "let idle servers run."
        )


def _check_protection(options: Options) -> None:
    if bool(options.tls_cert) != bool(options.tls_key):
        raise OptionError("--tls-cert and --tls-key belong together: give both or neither.")
    for option, path in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key)):
        if path and not _PATH.fullmatch(path):
            raise OptionError(
                f"{option} {path!r} must be an absolute path of letters, digits and . _ / @ + -."
            )
    if not (options.is_loopback or options.tls_cert or options.insecure_http):
        raise OptionError(
            f"With --bind {options.bind} Unix passwords would cross the network unencrypted: "
            "add --tls-cert and --tls-key, keep 127.0.0.1 behind a proxy with TLS, "
            "or insist with --insecure-http."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./install",
        description="Install or update unixspawner on this machine. Run it again at any time: "
        "options are remembered, and what is right already is left alone.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    _add_address(parser)
    _add_names(parser)
    switch = argparse.BooleanOptionalAction
    parser.add_argument("--mkhomedir", action=switch, help="make missing home directories")
    parser.add_argument(
        "--idle-hours",
        type=int,
        metavar="HOURS",
        help="end servers that nobody used for so long; 0: never (72)",
    )
    parser.add_argument("--demo", action=switch, help="a demo application and a person `demo`")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, no more")
    parser.add_argument("--no-start", action="store_true", help="leave the service as it is")
    parser.add_argument("--packages", help=argparse.SUPPRESS)
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bind", metavar="ADDRESS", help="public address (127.0.0.1)")
    parser.add_argument("--port", type=int, help="public port (8000)")
    parser.add_argument("--base-url", metavar="PATH", help="path in front of all pages (/)")
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", metavar="FILE", help="private key, PEM")
    parser.add_argument("--no-tls", action="store_true", help="forget certificate and key")
    parser.add_argument(
        "--insecure-http",
        action=argparse.BooleanOptionalAction,
        help="allow a network address without TLS: passwords can then be read on the way",
    )


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--users-group", metavar="GROUP", help="may sign in (jupyterhub-users)")
    parser.add_argument(
        "--admins-group", metavar="GROUP", help="administers the hub (jupyterhub-admins)"
    )
    parser.add_argument("--hub-account", metavar="ACCOUNT", help="runs hub and proxy (jupyterhub)")
    parser.add_argument(
        "--pam-account", metavar="ACCOUNT", help="checks passwords (jupyterhub-pam)"
    )
