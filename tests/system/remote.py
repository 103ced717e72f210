"""Another machine as the host of the tests: root's commands over one ssh connection.

Run by pytest. Every command is a session of its own on that connection, with its standard streams
and exit status as they are: a few hundredths of a second each. A connection that was cut, by a
restart of the machine for instance, is made anew by the next command.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
from pathlib import Path

from tests.system.host import DEADLINE, Result, become, finish, wait_for

REBOOT_DEADLINE = 120.0
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "120",
    "ControlMaster": "auto",
    "ControlPersist": "yes",
    "LogLevel": "ERROR",  # what ssh itself says would be taken for what the command says
    "ServerAliveInterval": "15",
}


class RemoteHost:
    """A machine that ssh signs in to as root.

    `folder` is for the connection's socket and must be private and short; `configuration` is an
    ssh_config(5) in which `name` stands.
    """

    reboots = True

    def __init__(self, name: str, configuration: Path, folder: Path, clone: str) -> None:
        options = {**_OPTIONS, "ControlPath": str(folder / "connection")}
        words = [word for pair in options.items() for word in ("-o", "=".join(pair))]
        self._ssh = ("ssh", "-F", str(configuration), *words, "-l", "root")
        self._name = name
        self._forwards: dict[str, int] = {}
        self.url = ""
        self.clone = clone

    def close(self) -> None:
        command = (*self._ssh, "-O", "exit", self._name)
        subprocess.run(command, capture_output=True, check=False, timeout=DEADLINE)

    def reboot(self) -> None:
        before = self._boot()
        self.run("systemctl", "reboot", check=False)
        self.close()
        wait_for("the machine", lambda: self._boot() not in ("", before), REBOOT_DEADLINE)
        for target, port in self._forwards.items():
            self._forward("-L", f"127.0.0.1:{port}:{target}")

    def _boot(self) -> str:
        """The number of the boot; empty while nothing answers."""
        return self.run("cat", "/proc/sys/kernel/random/boot_id", check=False).out.strip()

    def reach(self, address: str, port: int) -> tuple[str, int]:
        """Through the connection, since what listens on loopback is reached by nobody else."""
        target = f"{address}:{port}"
        if target not in self._forwards:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self._forwards[target] = int(free.getsockname()[1])
        self._forward("-L", f"127.0.0.1:{self._forwards[target]}:{target}")
        return "127.0.0.1", self._forwards[target]

    def expose(self, port: int) -> int:
        self._forward("-R", f"127.0.0.1:{port}:127.0.0.1:{port}")
        return port

    def _forward(self, kind: str, what: str) -> None:
        """Asked for twice it stays one."""
        self.run("true")  # there is a connection to ask
        finish(("ssh", kind, what), (*self._ssh, "-O", "forward", kind, what, self._name))

    def run(
        self, *command: str, stdin: str = "", check: bool = True, timeout: float = DEADLINE
    ) -> Result:
        # sshd gives root's shell one line; the shell becomes the command, in / as on this machine
        line = f"cd / && LC_ALL=C.UTF-8 exec {shlex.join(command)}"
        return finish(command, (*self._ssh, self._name, line), stdin, check, timeout)

    def as_account(
        self,
        account: str,
        *command: str,
        stdin: str = "",
        check: bool = True,
        timeout: float = DEADLINE,
    ) -> Result:
        return self.run(*become(account), *command, stdin=stdin, check=check, timeout=timeout)
