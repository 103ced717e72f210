"""Programs that run for as long as the benchmark does: started, waited for, ended.

Used by the benchmark only. What a program says goes to a file of its name.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .errors import BenchmarkError

START_TIMEOUT = 60.0


class Processes:
    def __init__(self, work: Path) -> None:
        self._work = work
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *error: object) -> None:
        for process in reversed(self._running.values()):
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(
        self,
        name: str,
        command: list[str],
        environ: Mapping[str, str],
        listener: socket.socket | None = None,
    ) -> int:
        """Its pid. `listener` is inherited."""
        base = {"PATH": os.defpath, "HOME": str(self._work), "LANG": "C.UTF-8"}
        with self._log(name).open("w") as log:
            self._running[name] = subprocess.Popen(
                command,
                env={**base, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._work,
                pass_fds=() if listener is None else (listener.fileno(),),
            )
        return self._running[name].pid

    def wait_for_port(self, port: int) -> None:
        self._wait(lambda: socket.create_connection(("127.0.0.1", port), 1))

    def wait_for_socket(self, path: Path) -> None:
        def connect() -> socket.socket:
            one = socket.socket(socket.AF_UNIX)
            one.connect(str(path))
            return one

        self._wait(connect)

    def _wait(self, connect: Callable[[], socket.socket]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), connect():
                return
            for name, process in self._running.items():
                if process.poll() is not None:
                    said = self._log(name).read_text(errors="replace").strip()[-500:]
                    raise BenchmarkError(f"{name} did not start: {said or 'it said nothing'}")
            time.sleep(0.05)
        raise BenchmarkError(f"Something of {', '.join(self._running)} did not start in time.")

    def _log(self, name: str) -> Path:
        return self._work / f"{name}.log"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
