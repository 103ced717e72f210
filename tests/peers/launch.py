"""Starts the test application, then becomes the single-user server in front of it.

Run by JupyterHub's test hub as the command of a server. What the tests expect of Jupyter (a file
listing, /tree, facts about the process) is the test application's business, not the product's.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / "singleuser"


def main() -> None:
    directory = Path(tempfile.mkdtemp(prefix="unixspawner-peers-"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "app.sock"))
    listener.listen()
    # The server holds the writing end: when it is gone, the application reads end-of-file.
    lifeline, held = os.pipe()
    os.set_inheritable(held, True)
    subprocess.Popen(
        [sys.executable, str(HERE / "application.py"), str(listener.fileno()), str(lifeline)],
        pass_fds=(listener.fileno(), lifeline),
        env={**os.environ, "UNIXSPAWNER_PEERS_DIRECTORY": str(directory)},
    )
    (directory / "test.toml").write_text(
        f'title = "Test application"\nroot = true\nsocket = "{directory}/app.sock"\n'
    )
    if importlib.util.find_spec("unixspawner_singleuser") is None:
        os.environ["PYTHONPATH"] = str(SOURCE)
    command = [sys.executable, "-m", "unixspawner_singleuser", "--apps", str(directory)]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
