"""`--check-apps`: what is right and what is wrong with the files in apps.d, for an administrator.

Run by the administrator or for `unixspawner doctor`, as an account without rights: it reads what
every person's server reads, with the same code, and looks whether there is something behind it.
"""

from __future__ import annotations

import grp
import json
import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from .catalogue import Application, Command, Upstream
from .catalogue_files import Trusted, load, open_trusted
from .errors import InvalidApplicationError

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
CONNECT_TIMEOUT = 3.0

Level = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    text: str
    cure: str = ""

    @property
    def line(self) -> str:
        return f"{self.level:8}{self.text}" + (f": {self.cure}" if self.cure else "")


def check(directory: str, trusted: Trusted, *, as_json: bool) -> int:
    """Prints a line for each finding. Exit status: 0 when nothing failed, otherwise 1."""
    findings = list(examine(directory, trusted))
    lines = [finding.line for finding in findings]
    if as_json:
        lines = [json.dumps([asdict(finding) for finding in findings])]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()  # this program does not end as Python programs usually do
    return int(any(finding.level == "failure" for finding in findings))


def examine(directory: str, trusted: Trusted) -> Iterator[Finding]:
    catalogue = load(directory, trusted, quiet=True)
    for refusal in catalogue.refusals:
        yield Finding("failure", str(refusal), "correct it; until then it is left out")
    for application in catalogue.applications:
        path = os.path.join(directory, f"{application.name}.toml")
        faults = list(_faults(application, trusted))
        if not any(fault.level == "failure" for fault in faults):
            yield Finding("ok", f"{path}: {application.title}, {_kind(application)}")
        for fault in faults:
            yield Finding(fault.level, f"{path}: {fault.text}", fault.cure)


def _kind(application: Application) -> str:
    upstream, command = application.upstream, application.command
    if command is not None:
        return f"starts {command.words[0]}"
    return f"at {upstream.socket_path or f'{upstream.host}:{upstream.port}'}"


def _faults(application: Application, trusted: Trusted) -> Iterator[Finding]:
    if application.icon:
        yield from _icon(application.icon, trusted)
    for group in application.groups:
        try:
            grp.getgrnam(group)
        except KeyError:
            yield Finding("warning", f"there is no group {group}", f"groupadd {group}")
    if application.command is not None:
        yield from _program(application.command)
        yield from _directory(application.command)
    else:
        yield from _reach(application.upstream)


def _icon(path: str, trusted: Trusted) -> Iterator[Finding]:
    try:
        os.close(open_trusted(path, trusted))
    except OSError as error:
        yield Finding("warning", f"its icon {path} cannot be read ({error.strerror})")
    except InvalidApplicationError as error:
        yield Finding("warning", f"its icon {path} is not shown: {error}")


def _program(command: Command) -> Iterator[Finding]:
    program = command.words[0]
    if "{" in program:
        return  # another one for each person
    if "/" not in program:
        if shutil.which(program, path=SYSTEM_PATH) is None:
            text = f"{program} is not in {SYSTEM_PATH}"
            yield Finding("warning", text, "it must be in the PATH of each person")
        return
    try:
        status = os.stat(program)
    except PermissionError:
        return  # not everybody's, and perhaps it need not be
    except OSError as error:
        cure = "install it, or correct command"
        yield Finding("failure", f"the program {program} cannot run ({error.strerror})", cure)
        return
    if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
        yield Finding("failure", f"{program} is not a program", f"chmod a+x {program}")


def _directory(command: Command) -> Iterator[Finding]:
    path = command.directory
    if path.startswith("/") and "{" not in path and not os.path.isdir(path):
        yield Finding("warning", f"the directory {path} does not exist", f"mkdir {path}")


def _reach(upstream: Upstream) -> Iterator[Finding]:
    try:
        if upstream.socket_path is None:
            socket.create_connection((upstream.host, upstream.port), CONNECT_TIMEOUT).close()
        else:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(CONNECT_TIMEOUT)
                connection.connect(upstream.socket_path)
    except PermissionError:
        return  # open to some people, perhaps
    except OSError as error:
        place = upstream.socket_path or f"{upstream.host}:{upstream.port}"
        reason = error.strerror or "it takes too long"
        yield Finding("warning", f"nothing answers at {place} ({reason})", "start it")
