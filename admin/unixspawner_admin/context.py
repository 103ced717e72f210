"""What one run of the installer works with."""

from dataclasses import dataclass
from pathlib import Path

from .manifest import Manifest
from .options import Options, Run


@dataclass(frozen=True)
class Context:
    options: Options
    run: Run
    source: Path  # the clone
    release: Path  # where its release is, or will be
    manifest: Manifest
