"""The versions of what we stand on, and whether they are known to be bad."""

import json
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from .. import paths, release, sudo, sudo_version, system
from ..findings import Finding, judge
from ..options import Options

_PYTHON = (3, 11)
_JUPYTERHUB = 6
_PROXY = 5
_NODE = 20
_PROXY_PACKAGE = "node_modules/configurable-http-proxy/package.json"


def check(_options: Options) -> Iterator[Finding]:
    if not sudo.is_sudo_rs():
        yield judge_sudo(*sudo_version.is_corrected())
    yield _system_python()
    current = release.current()
    if current is None:
        return
    yield _release_python(current)
    yield _installed("jupyterhub", _JUPYTERHUB, metadata.version("jupyterhub"))
    yield _proxy(current)
    yield _node(current)


def judge_sudo(version: str, is_corrected: bool | None) -> Finding:
    """Holes that would make our rules beside the point."""
    holes = "CVE-2025-32462 and CVE-2025-32463"
    if is_corrected is None:
        text = f"whether sudo {version} has the corrections of {holes} is not known here"
        return Finding("warning", text, "look for both in the changelog of the package")
    wrong = f"sudo {version} lacks the corrections of {holes}: others can become root with it"
    cure = "apt-get install --only-upgrade sudo"
    return judge(is_corrected, f"sudo {version} has the corrections of {holes}", cure, wrong=wrong)


def _system_python() -> Finding:
    """The mediator and authenticate are run by it."""
    words = [paths.PYTHON, "-IS", "-c", "import sys; print(*sys.version_info[:3])"]
    status, output = system.try_run(words)
    version = ".".join(output.split()) if status == 0 else "not usable"
    right = status == 0 and tuple(map(int, output.split()[:2])) >= _PYTHON
    wrong = f"{paths.PYTHON} is {version}, and 3.11 is needed"
    return judge(
        right, f"{paths.PYTHON} is Python {version}", "apt-get install python3", wrong=wrong
    )


def _release_python(current: Path) -> Finding:
    """An upgrade of the system can take a release's Python away below it."""
    status, output = system.try_run([str(current / "bin/python"), "-I", "-c", "import jupyterhub"])
    running = f"{platform.python_version()} ({sys.prefix})"
    wrong = f"the release's Python does not work any more: {' '.join(output.split())[-200:]}"
    return judge(
        status == 0, f"the release runs Python {running}", release.installer(), wrong=wrong
    )


def _proxy(current: Path) -> Finding:
    text = system.read_text(current / _PROXY_PACKAGE)
    version = str(json.loads(text).get("version", "")) if text else ""
    return _installed("configurable-http-proxy", _PROXY, version)


def _node(current: Path) -> Finding:
    output = system.try_run([str(current / "bin/node"), "--version"])[1]
    return _installed("Node", _NODE, output.strip().removeprefix("v"))


def _installed(name: str, least: int, version: str) -> Finding:
    match = re.match(r"(\d+)\.", version)
    right = match is not None and int(match[1]) >= least
    wrong = f"{name} is {version or 'not there'}, and {least} or later is needed"
    return judge(right, f"{name} is {version}", release.installer(), wrong=wrong)
