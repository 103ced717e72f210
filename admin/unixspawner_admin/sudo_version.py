"""Whether this machine's sudo has the corrections that our promises rest on.

Two holes are asked for: with CVE-2025-32462 a rule for another host holds here too, with
CVE-2025-32463 every local account becomes root by `sudo -R`. Upstream corrected both in 1.9.17p1;
distributions correct them under the old number, which only their own version shows.
"""

import platform
import re

from . import system
from .paths import SUDO
from .sudo import without_complaints

CORRECTED = "1.9.17p1"
# Upstream's number, and the Debian version of it from which on both are corrected.
# https://security-tracker.debian.org/tracker/source-package/sudo
CORRECTED_IN_DEBIAN = {
    "1.9.13p3": "1.9.13p3-1+deb12u2",
    "1.9.16p2": "1.9.16p2-3",
}
_NUMBER = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:p(\d+))?")


def is_corrected() -> tuple[str, bool | None]:
    """The version, and whether it has both corrections; None where that cannot be told."""
    upstream = upstream_version(without_complaints(system.try_run([SUDO, "--version"])[1]))
    if not upstream or at_least(upstream, CORRECTED):
        return upstream or "of an unknown version", bool(upstream) or None
    needed = CORRECTED_IN_DEBIAN.get(upstream)
    if needed is None or distribution() != "debian":
        return upstream, None
    status, package = system.try_run(["dpkg-query", "-W", "-f", "${Version}", "sudo"])
    if status != 0:
        return upstream, None
    compared, _ = system.try_run(["dpkg", "--compare-versions", package, "ge", needed])
    return package, compared == 0


def upstream_version(output: str) -> str:
    """The number in what `sudo --version` writes, empty where there is none. Pure."""
    found = _NUMBER.search(output.partition("\n")[0])
    return found[0] if found else ""


def at_least(version: str, needed: str) -> bool:
    """Pure."""
    return _numbers(version) >= _numbers(needed)


def _numbers(version: str) -> tuple[int, ...]:
    found = _NUMBER.fullmatch(version)
    return tuple(int(number or 0) for number in found.groups()) if found else ()


def distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""
