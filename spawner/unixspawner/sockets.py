"""The listening sockets of the servers: made by the hub, in a directory that is the hub's alone."""

import contextlib
import os
import re
import secrets
import socket
from urllib.parse import quote

_NAME = re.compile(r"[0-9a-f]{32}\.sock", re.ASCII)
BACKLOG = 1024


def fresh_path(directory: str) -> str:
    """Fresh, since the hub pools connections by path."""
    return os.path.join(directory, f"{secrets.token_hex(16)}.sock")


def listen(path: str) -> socket.socket:
    """A listening socket that nobody but the hub's account can connect to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def remove(path: str) -> None:
    """Forget a server's socket."""
    if _NAME.fullmatch(os.path.basename(path)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def url(path: str) -> str:
    """The socket as JupyterHub and its proxy write it: lower case, the path quoted as the host."""
    return f"http+unix://{quote(path, safe='')}"
