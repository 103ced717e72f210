"""The machine's PAM stacks that ours include: common-* on Debian, system-auth on Red Hat."""

from collections.abc import Mapping
from pathlib import Path

from . import system

_PAM = Path("/etc/pam.d")
_DEEP = 5  # services that include each other


def stacks(folder: Path = _PAM) -> Mapping[str, str]:
    if (folder / "common-auth").exists():
        names = ("common-auth", "common-account", "common-session")
    elif (folder / "system-auth").exists():
        names = ("system-auth", "system-auth", "system-auth")
    else:
        names = ("other", "other", "other")
    return dict(zip(("pam_auth", "pam_account", "pam_session"), names, strict=True))


def makes_homes(folder: Path = _PAM) -> bool:
    """Whether the machine's own session stack makes missing home directories already."""
    return _session_has("pam_mkhomedir", folder)


def makes_slices(folder: Path = _PAM) -> bool:
    """Whether each session gets a control group of its own, in the slice of its person."""
    return _session_has("pam_systemd", folder)


def stack(kind: str, path: Path, depth: int = 0) -> list[str]:
    """The lines of one kind (auth, session, …) in a PAM service, with those that it includes."""
    text = (system.read_text(path) or "").replace("\\\n", " ")
    found: list[str] = []
    for line in map(str.strip, text.splitlines()):
        words = line.removeprefix("-").split()
        if words[:1] == ["@include"] and len(words) > 1:
            found += _included(kind, path.parent / words[1], depth)
        elif words[:1] == [kind] and words[1:2] in (["include"], ["substack"]) and len(words) > 2:
            found += _included(kind, path.parent / words[2], depth)
        elif words[:1] == [kind]:
            found.append(line)
    return found


def _included(kind: str, path: Path, depth: int) -> list[str]:
    return stack(kind, path, depth + 1) if depth < _DEEP else []


def services_that_name(program: Path, folder: Path = _PAM) -> list[Path]:
    """The PAM services, of whoever's making, in which a program stands."""
    found = (path for path in sorted(folder.glob("*")) if path.is_file())
    return [path for path in found if str(program) in path.read_text("utf-8", errors="replace")]


def _session_has(module: str, folder: Path) -> bool:
    path = folder / stacks(folder)["pam_session"]
    if not path.exists():
        return False
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return any(module in line for line in lines if not line.lstrip().startswith("#"))
