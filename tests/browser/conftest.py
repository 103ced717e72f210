"""A real browser for real people: the fixtures of tests/system, and Chromium. Run by pytest."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.browser.webdriver import Browser, chromedriver, open_browser
from tests.system.service import CLONE


@pytest.fixture(autouse=True)
def _compare(nothing_left_behind: None) -> None:
    """The comparison is in tests/system/fixtures.py."""


@pytest.fixture(scope="session")
def driver() -> Iterator[httpx.Client]:
    with chromedriver() as client:
        yield client


@pytest.fixture
def chromium(driver: httpx.Client) -> Iterator[Browser]:
    """A browser that nobody has used before. Its screenshots go to artefacts/."""
    with open_browser(driver, CLONE / "artefacts") as browser:
        yield browser
