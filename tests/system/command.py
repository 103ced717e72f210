"""The command `unixspawner`, as root types it: plain, for programs, and at a terminal.

Run by pytest as root.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Protocol

from tests.system.host import DEADLINE, Host, Result, wait_for
from tests.system.people import MARKER

COMMAND = "/usr/local/bin/unixspawner"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run(host: Host, *words: str, check: bool = True, timeout: float = DEADLINE) -> Result:
    return host.run(COMMAND, *words, check=check, timeout=timeout)


def table(host: Host, *words: str) -> dict[str, Any]:
    """What the command says with --json, whatever its exit status."""
    return _table(host, *words)[1]


def _table(host: Host, *words: str) -> tuple[int, dict[str, Any]]:
    done = run(host, *words, "--json", check=False, timeout=60)
    return done.status, json.loads(done.out)


def servers(host: Host, person: str) -> dict[str, dict[str, Any]]:
    """The servers of a person as `status` sees them, by name."""
    rows = table(host, "status")["servers"]
    return {row["server"]: row for row in rows if row["person"] == person}


def at_terminal(host: Host, command: str, columns: int = 80, lines: int = 24) -> list[str]:
    """What a terminal of that size is shown, line by line, its colours left out."""
    # whoever runs the tests may have a terminal too, and tell its size to all that runs in it
    script = f"unset COLUMNS LINES; stty cols {columns} rows {lines}; {command}"
    out = host.run("script", "-qec", script, "/dev/null", check=False, timeout=60).out
    return [_COLOUR.sub("", line).rstrip("\r") for line in out.split("\n")]


@dataclass(frozen=True)
class Finding:
    level: str
    text: str
    cure: str


def examination(host: Host) -> tuple[int, list[Finding]]:
    """The doctor's exit status, and what he finds."""
    status, said = _table(host, "doctor")
    return status, [Finding(**each) for each in said["findings"]]


def findings(host: Host) -> list[Finding]:
    return examination(host)[1]


class StartProcess(Protocol):
    """See the fixture `start_process`."""

    def __call__(self, account: str, program: str, **variables: str) -> int: ...


def start(host: Host, account: str, program: str, **variables: str) -> int:
    """A process of the account with variables of its own, which goes on; returns its pid.

    With a server's marker among them it belongs to that server, as what people start there does.
    """
    words = [f"{name}={value}" for name, value in variables.items()]
    script = 'setsid env "$@" >/dev/null 2>&1 </dev/null & echo $!'
    out = host.as_account(account, "sh", "-c", script, "sh", *words, "sh", "-c", program).out
    pid = int(out)
    # until it has become the program, its environment is another
    last_word = program.split()[-1]
    wait_for("the process", lambda: last_word in host.run("cat", f"/proc/{pid}/cmdline").out)
    return pid


def of_server(server_id: str, name: str = "", application: str = "") -> dict[str, str]:
    """The variables by which a process belongs to a server, and to one of its applications."""
    found = {MARKER: server_id, "JUPYTERHUB_SERVER_NAME": name}
    return found | ({"UNIXSPAWNER_APPLICATION": f"{application}:0f"} if application else {})


def is_running(host: Host, pid: int) -> bool:
    return not has_ended(host, pid)


def has_ended(host: Host, pid: int) -> bool:
    state = host.run("ps", "-o", "stat=", "-p", str(pid), check=False).out.strip()
    return not state or state.startswith("Z")
