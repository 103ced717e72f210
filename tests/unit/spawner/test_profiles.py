"""The sizes on the page before a start: who is offered which, and which one is taken."""

from __future__ import annotations

import logging
import math

import pytest

from unixspawner import lookups, profiles
from unixspawner.errors import AskError
from unixspawner_mediator import limits
from unixspawner_mediator.config import ConfigError
from unixspawner_mediator.limits import Limits, LimitsFile, Profile

GIB = 2**30
SMALL = Profile("Small", "For notebooks & <more>", Limits(memory=2 * GIB, cpu=1))
LARGE = Profile("Large", "", Limits(memory=1.5 * 2**40, cpu=0.5, tasks=4000))
BOTH = {"small": SMALL, "large": LARGE}
LOG = logging.getLogger("test")


def test_the_first_is_taken_when_nobody_chooses() -> None:
    assert profiles.choose(BOTH, {}) == "small"
    assert profiles.choose(BOTH, {"other": ["x"]}) == "small"


@pytest.mark.parametrize("value", ["large", ["large"]])
def test_a_form_and_the_api_choose(value: object) -> None:
    assert profiles.choose(BOTH, {"profile": value}) == "large"


@pytest.mark.parametrize("value", ["huge", ["huge"], ["small", "large"], {"small": 1}, 7, "a\nb"])
def test_what_is_not_offered_is_refused_in_a_sentence(value: object) -> None:
    with pytest.raises(AskError) as caught:
        profiles.choose(BOTH, {"profile": value})
    assert caught.value.code == "no-such-profile"
    assert caught.value.message.endswith("for you: choose small or large.")
    assert "\n" not in caught.value.message


def test_where_there_is_no_choice_an_old_one_does_not_matter() -> None:
    assert profiles.choose({}, {"profile": "large"}) == ""
    assert profiles.form({}, {"profile": "large"}) == ""


def test_the_form_escapes_and_remembers() -> None:
    first, last = (profiles.form(BOTH, options) for options in ({}, {"profile": ["large"]}))
    assert 'value="small" checked' in first
    assert 'value="large" checked' in last
    assert first.count("checked") == last.count("checked") == 1
    assert "For notebooks &amp; &lt;more&gt;" in first
    assert profiles.form(BOTH, {"profile": "gone"}) == first


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (SMALL, "2 GiB of memory, 1 processor"),
        (LARGE, "1.5 TiB of memory, 0.5 processors, 4000 processes and threads"),
        (Profile("All", "", Limits()), "as much as you may use"),
        (Profile("All", "", Limits(math.inf, math.inf)), "as much as you may use"),
    ],
)
def test_amounts_are_words(profile: Profile, words: str) -> None:
    assert profiles.amounts(profile) == words


def read(monkeypatch: pytest.MonkeyPatch, table: dict[str, object]) -> LimitsFile:
    file = limits.parse(table)
    monkeypatch.setattr(limits, "read", lambda: file)
    return file


PROFILES = {
    "small": {"title": "Small", "memory": "2G"},
    "large": {"title": "Large", "memory": "9G"},
}


async def test_only_what_the_persons_groups_allow_is_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = {"root": {"memory": "4G"}, "no-such-group": {"memory": "99G"}}
    read(monkeypatch, {"group": groups, "profile": PROFILES})
    assert list(await profiles.offered("root", LOG)) == ["small"]
    assert list(await profiles.offered("daemon", LOG)) == ["small", "large"]
    assert list(await profiles.offered("no-such-account", LOG)) == ["small", "large"]


async def test_a_name_service_that_hangs_asks_without_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hangs(*_: object) -> None:
        raise lookups.NoAnswerError

    read(monkeypatch, {"default": {"memory": "4G"}, "profile": PROFILES})
    monkeypatch.setattr(lookups, "call", hangs)
    assert list(await profiles.offered("root", LOG)) == ["small"]


async def test_a_broken_file_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> LimitsFile:
        raise ConfigError("limits.toml: [default] must be a section")

    monkeypatch.setattr(limits, "read", broken)
    assert await profiles.offered("root", LOG) == {}
    assert "Nobody is asked for a size: limits.toml" in caplog.text
