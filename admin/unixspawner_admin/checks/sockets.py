"""The sockets: there, of the right kind, open to no more than needed, and none left behind."""

import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

from .. import as_account, paths, release, services, system, wording
from ..as_account import Emit
from ..errors import AdminError
from ..findings import Finding, judge
from ..options import Options

_SECONDS = 5.0


def check(options: Options) -> Iterator[Finding]:
    if not services.runs(services.HUB):
        return
    hub = options.hub_account
    status = system.file_status(paths.RUN)
    owner = (system.uid_of(hub), system.gid_of(options.users_group), 0o710)
    right = status is not None and (status.uid, status.gid, status.mode) == owner
    text = f"{paths.RUN} lets only members of {options.users_group} pass"
    yield judge(
        right, text, f"chown {hub}:{options.users_group} {paths.RUN} && chmod 0710 {paths.RUN}"
    )
    yield _closed(paths.SOCKETS, 0o700, hub)
    for path, mode in ((paths.HUB_SOCKET, 0o666), (paths.PROXY_SOCKET, 0o700)):
        yield _closed(path, mode, hub)
        yield _listens(path, hub)
    yield from _left_behind(hub)


def _closed(path: Path, mode: int, hub: str) -> Finding:
    status = system.file_status(path)
    if status is None:
        return Finding("failure", f"there is no {path}", release.restart())
    right = status.mode & ~mode == 0 and status.uid == system.uid_of(hub)
    cure = f"chown {hub} {path} && chmod {mode:04o} {path}"
    wrong = f"{path} has mode {status.mode:04o}, and should have {mode:04o} and belong to {hub}"
    return judge(right, f"{path} is open to no more than needed", cure, wrong=wrong)


def _listens(path: Path, hub: str) -> Finding:
    def connect(_emit: Emit) -> None:
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.settimeout(_SECONDS)
            attempt.connect(str(path))

    try:
        as_account.call(hub, connect, _SECONDS)
    except (OSError, AdminError) as error:
        return Finding("failure", f"nobody listens at {path}: {error}", release.restart())
    return Finding("ok", f"somebody listens at {path}")


def _left_behind(hub: str) -> Iterator[Finding]:
    """Sockets that no process has open any more: of servers that nobody cleaned up after."""

    def emit_names(emit: Emit) -> None:
        emit("\n".join(str(path) for path in sorted(paths.SOCKETS.glob("*.sock"))).encode())

    names = as_account.call(hub, emit_names, _SECONDS).decode(errors="replace").split("\n")
    table = system.read_text(Path("/proc/net/unix")) or ""
    open_ones = {line.split()[-1] for line in table.splitlines()}
    dead = [name for name in names if name and name not in open_ones]
    text = f"no socket is left over in {paths.SOCKETS}"
    belong = "belongs" if len(dead) == 1 else "belong"
    files = wording.count(len(dead), "file")
    wrong = f"{files} in {paths.SOCKETS} {belong} to no process any more"
    # quoted: the hub's account chooses the names, and this is for root's shell
    cure = f"rm -- {shlex.join(dead[:3])}"
    yield judge(not dead, text, cure, "warning", wrong=wrong)
