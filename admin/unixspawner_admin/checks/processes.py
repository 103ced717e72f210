"""Whether the hub sees people's processes: /proc may be mounted so that nobody sees another's."""

import grp
import re
from collections.abc import Iterator
from pathlib import Path

from .. import release, system
from ..findings import Finding, judge
from ..options import Options

MOUNTS = Path("/proc/self/mounts")
_HIDING = re.compile(r"\bhidepid=(?!0\b|off\b)\w+")
_GROUP = re.compile(r"\bgid=(\d+)")


def check(options: Options) -> Iterator[Finding]:
    hub = options.hub_account
    if system.uid_of(hub) is None:
        return  # said elsewhere
    sees = system.try_run(["cat", "/proc/1/stat"], account=hub)[0] == 0
    wrong = f"{hub} does not see people's processes (/proc hides them), so no server can start"
    yield judge(sees, f"{hub} sees people's processes", cure(hub), wrong=wrong)


def cure(hub: str) -> str:
    """The account joins the group that /proc is open to; without such a group one is needed."""
    group = group_of(system.read_text(MOUNTS) or "")
    if group:
        return f"usermod -aG {group} {hub} && {release.restart()}"
    return (
        f"groupadd -f -r proc && mount -o remount,hidepid=2,gid=proc /proc && "
        f"usermod -aG proc {hub} && {release.restart()}   # and gid=proc in /etc/fstab"
    )


def group_of(mounts: str) -> str:
    """The group to which a /proc that hides processes is open; empty when there is none. Pure."""
    for fields in map(str.split, mounts.splitlines()):
        if len(fields) > 3 and fields[1:3] == ["/proc", "proc"] and _HIDING.search(fields[3]):
            match = _GROUP.search(fields[3])
            return _name(int(match[1])) if match else ""
    return ""


def _name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name if gid else ""
    except KeyError:
        return ""
