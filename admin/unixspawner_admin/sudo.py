"""The sudo of this machine: which one it is, and whether it accepts our rules."""

import functools
import re
from pathlib import Path

from . import system
from .errors import AdminError
from .options import Options
from .paths import LIBEXEC, SUDO

VISUDO = "/usr/sbin/visudo"


@functools.cache
def is_sudo_rs() -> bool:
    """sudo-rs knows no pam_service; it opens the session of the service `sudo`."""
    return system.try_run([SUDO, "--version"])[1].startswith("sudo-rs")


def without_complaints(output: str) -> str:
    """What sudo was asked for, and not that it cannot resolve the machine's own name. Pure."""
    lines = output.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("sudo: "))


def require_valid(path: Path) -> None:
    """Refuse rules that sudo does not accept: a broken file in sudoers.d can lock everybody out."""
    status, output = system.try_run([VISUDO, "-c", "-f", str(path)])
    if status != 0:
        raise AdminError(f"sudo does not accept the rules, so they were not installed: {output}")


def expected_rules(options: Options, checking_account: str, is_rs: bool) -> list[str]:
    """Our rules in the words of `sudo -l`; sudo-rs does not list that no argument is allowed."""
    mediator = f"{LIBEXEC}/mediator"
    no_arguments = "" if is_rs else ' ""'
    return [
        f"(%{options.users_group}) NOPASSWD: {mediator} start, {mediator} stop",
        f"(ALL, !root, !#0) NOPASSWD: {mediator} stop",
        f"({checking_account}) NOPASSWD: {LIBEXEC}/authenticate{no_arguments}",
    ]


def listed_rules(output: str) -> list[str]:
    """The rules that `sudo -l -U` lists, one line each, blanks as in ours. Pure."""
    rules: list[str] = []
    for line in output.splitlines():
        if line.startswith("    ("):
            rules.append(line.strip())
        elif rules and line.startswith("        "):  # a long rule goes on
            rules[-1] += " " + line.strip()
    return rules


def is_in_effect(setting: str, output: str) -> bool:
    """Whether `setting` is the last word on its name in what `sudo -l -U` lists. Pure."""
    listed = _listed_settings(output)
    name = _name_of(setting)
    return [each for each in listed if _name_of(each) == name][-1:] == [setting]


def _listed_settings(output: str) -> list[str]:
    """The Defaults that match the account, in the order in which they count."""
    lines: list[str] = []
    for line in output.splitlines()[1:]:
        if not line.startswith("    "):
            break
        lines.append(line.strip())
    return [setting.strip() for setting in " ".join(lines).split(",")]


def _name_of(setting: str) -> str:
    return setting.removeprefix("!").partition("=")[0].rstrip("+-")


def hosts_of_rules(rules: str, account: str) -> list[str]:
    """The host word of each rule for an account, in the text of a sudoers file. Pure."""
    lines = rules.replace("\\\n", " ").splitlines()
    found = (re.match(rf"\s*{re.escape(account)}\s+([^=]*?)\s*=", line) for line in lines)
    return [match[1] for match in found if match]
