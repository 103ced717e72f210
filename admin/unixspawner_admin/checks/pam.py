"""The PAM services: ours, what they include, and whether the modules that they name are there."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from .. import accounts, pam, paths, release, system
from ..findings import Finding, judge
from ..options import Options

OURS = ("unixspawner", "unixspawner-session")
_LINE = re.compile(r"-?(?:auth|account|password|session)\s+(\[[^]]*\]|\S+)\s+(\S+)")
_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")


def check(options: Options) -> Iterator[Finding]:
    for name in (*OURS, *sorted(set(pam.stacks().values()))):
        yield _service(paths.PAM / name)
    available = _modules_here()
    for name in OURS:
        yield from _content(paths.PAM / name, available)
    yield from _lockouts(accounts.checking_account(options))


def _service(path: Path) -> Finding:
    status = system.file_status(path)
    if status is None:
        cure = (
            release.installer()
            if path.name in OURS
            else "apt-get install --reinstall libpam-runtime"
        )
        return Finding("failure", f"there is no PAM service {path}", cure)
    right = status.uid == 0 and not status.mode & (stat.S_IWGRP | stat.S_IWOTH)
    wrong = f"PAM service {path} can be written by others than root"
    cure = f"chown root {path} && chmod go-w {path}"
    return judge(right, f"PAM service {path} is there, and root's", cure, wrong=wrong)


def _content(path: Path, available: set[str]) -> Iterator[Finding]:
    named = [match[2] for match in map(_LINE.match, _lines(path)) if match]
    missing = sorted({name for name in named if not _is_there(name, available)})
    text = f"{path} names only modules and services that are here"
    cure = f"editor {path}   # or install the package that has it"
    wrong = f"{path} names {' '.join(missing)}, which is not on this machine"
    yield judge(not missing, text, cure, wrong=wrong)


def _lines(path: Path) -> list[str]:
    text = system.read_text(path) or ""
    return [line.strip() for line in text.replace("\\\n", " ").splitlines()]


def _lockouts(checking: str) -> Iterator[Finding]:
    """pam_faillock keeps its counts in files that root alone may write, unless it is arranged."""
    lines = [line for line in pam.stack("auth", paths.PAM / OURS[0]) if "pam_faillock" in line]
    for folder in sorted({_folder(line) for line in lines}):
        kept = system.try_run(["test", "-w", folder], account=checking)[0] == 0
        wrong = f"wrong passwords on the web page are not counted: {checking} cannot write {folder}"
        entry = f"u:{checking}:rwx,d:u:{checking}:rw"
        rules = f"d {folder} 0755 root root -\\na+ {folder} - - - - {entry}\\n"
        file = "/etc/tmpfiles.d/unixspawner-faillock.conf"
        cure = f"printf '{rules}' > {file} && systemd-tmpfiles --create {file}"
        yield judge(kept, f"{checking} can count wrong passwords", cure, wrong=wrong)


def _folder(line: str) -> str:
    match = re.search(r"\bdir=(\S+)", line)
    return match[1] if match else "/run/faillock"


def _is_there(name: str, available: set[str]) -> bool:
    if name.startswith("/"):
        return os.path.exists(name)
    if name.endswith(".so"):
        return not available or name in available
    return (paths.PAM / name).exists()


def _modules_here() -> set[str]:
    """Names of all modules; empty on a machine that keeps them where we do not know."""
    folders = [Path(top) for top in _FOLDERS]
    found = [
        folder.glob(pattern)
        for folder in folders
        for pattern in ("security/*.so", "*/security/*.so")
    ]
    return {path.name for paths_found in found for path in paths_found}
