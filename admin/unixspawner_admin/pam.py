"""The machine's PAM stacks that ours include: common-* on Debian, system-auth on Red Hat."""

from collections.abc import Mapping
from pathlib import Path

_PAM = Path("/etc/pam.d")


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
