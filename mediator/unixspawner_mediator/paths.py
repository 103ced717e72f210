"""Where a server's log is: a name that no two servers of a person share."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def server_log(home: str, server_name: str) -> str:
    """The log of one server, below the person's home directory."""
    return f"{home}/.local/state/unixspawner/{_log_name(server_name)}"


def spare_log(runtime_directory: str, server_name: str) -> str:
    """Where the log goes while the home takes none."""
    return f"{runtime_directory}/{_log_name(server_name)}"


def spare_directories(uid: int) -> list[str]:
    """Where spare logs may be: what pam_systemd gives a session, and what is always there."""
    return [f"/run/user/{uid}/unixspawner", f"/tmp/unixspawner-{uid}"]  # noqa: S108


def _log_name(server_name: str) -> str:
    if not server_name:
        return "server.log"
    if _PLAIN.fullmatch(server_name):
        return f"server.{server_name}.log"
    import hashlib  # 2 ms that nobody else has to wait for

    # not fit for a file name: shortened, and kept apart by a digest after the two dots
    digest = hashlib.sha256(server_name.encode()).hexdigest()[:16]
    return f"server..{digest}.log"
