"""The environment of the stock sides: JupyterHub, SudoSpawner and JupyterLab, exactly as pinned.

Built once by root, outside the clone, and kept for the next run: `--remove` takes it away.
"""

import hashlib
import os
import shutil
from pathlib import Path

from . import system

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
ENVIRONMENTS = Path("/opt/unixspawner-benchmark")
PYTHON = "/usr/bin/python3"


def build() -> Path:
    """The environment's path, named after the lock; built unless it is there already."""
    environment = ENVIRONMENTS / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]
    complete = environment / ".complete"
    if complete.exists():
        return environment
    print(f"Building {environment}: JupyterHub and JupyterLab from {LOCK.name} ...", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    environment.parent.mkdir(mode=0o755, exist_ok=True)
    system.run([PYTHON, "-I", "-m", "venv", str(environment)])
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input"]
    # the network's own settings (certificates, mirrors) come from pip's environment
    system.run([*pip, "--require-hashes", "--requirement", str(LOCK)], environment=os.environ)
    complete.touch()
    return environment


def remove() -> None:
    shutil.rmtree(ENVIRONMENTS, ignore_errors=True)
