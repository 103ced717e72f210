"""The environment of everything but our server, exactly as pinned, outside the clone.

Built once and kept for the next run; `--remove` takes it away.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from .errors import BenchmarkError

LOCK = Path(__file__).resolve().parent.parent / "requirements-gateway.lock"
PYTHON = "/usr/bin/python3"


def build(root: Path) -> Path:
    """The environment's path, named after the lock; built unless it is there already."""
    environment = root / f"gateway-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]}"
    complete = environment / ".complete"
    if complete.exists():
        return environment
    print(f"Building {environment} from {LOCK.name} ...", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    try:
        environment.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(
            f"{environment} cannot be made ({error.strerror}): run this as root,"
            " or name another directory with --environments."
        ) from None
    _run([PYTHON, "-I", "-m", "venv", str(environment)])
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet", "--no-input"]
    _run([*pip, "--require-hashes", "--requirement", str(LOCK)])
    complete.touch()
    return environment


def remove(root: Path) -> None:
    for environment in root.glob("gateway-*"):
        shutil.rmtree(environment, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[:4])} failed: {done.stderr.strip()[-500:]}")
