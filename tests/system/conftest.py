"""Every system test leaves the machine as it found it. Run by pytest as root."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _compare(nothing_left_behind: None) -> None:
    """The comparison is in tests/system/fixtures.py."""
