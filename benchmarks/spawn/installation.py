"""What ./install has put on this machine: the side under test. Read by root, changed by nobody."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from .errors import BenchmarkError

CURRENT = Path("/opt/unixspawner/current")
HUB_CONFIG = Path("/etc/unixspawner/jupyterhub_config.py")
OPTIONS = Path("/etc/unixspawner/install.toml")


@dataclass(frozen=True)
class Installation:
    release: Path
    hub_account: str
    users_group: str

    @property
    def python(self) -> str:
        return str(self.release / "bin/python")

    @property
    def proxy(self) -> list[str]:
        program = self.release / "node_modules/.bin/configurable-http-proxy"
        return [str(self.release / "bin/node"), str(program)]


def find() -> Installation:
    """Raises BenchmarkError when nothing is installed."""
    try:
        release = CURRENT.resolve(strict=True)
        options = tomllib.loads(OPTIONS.read_text(encoding="utf-8"))
        return Installation(release, str(options["hub_account"]), str(options["users_group"]))
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        raise BenchmarkError(
            "unixspawner is not installed on this machine: run ./install first."
        ) from None
