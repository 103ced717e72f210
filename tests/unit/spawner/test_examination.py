"""`authenticate` is asked about locks when there is a reason to, and not oftener."""

import asyncio
import logging
import time

import pytest

from unixspawner import client, examination
from unixspawner.client import AskError
from unixspawner.examination import Examination
from unixspawner_mediator.protocol import Examined, ExamineRequest, Verdict

UNCHANGED, CHANGED = ((1,),), ((2,),)
ALICE, BOTH = {"alice"}, {"alice", "bob"}


class Other:
    """Stands in for sudo: what was asked, and what is answered."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.word: Verdict = "open"
        self.fails = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def request_examine(self, _command: list[str], request: ExamineRequest) -> Examined:
        self.asked.append(request.users)
        await self.answers.wait()
        if self.fails:
            raise AskError("no-answer", "Too long.")
        return Examined(dict.fromkeys(request.users, self.word))


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Other:
    other = Other()
    monkeypatch.setattr(client, "request_examine", other.request_examine)
    return other


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the hub started, and since 1970."""
    now = [1000.0, 86400.0 * 20_000]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: now[1])
    return now


@pytest.fixture
def examined(other: Other, clock: list[float]) -> Examination:
    return Examination(["sudo"], logging.getLogger("test-examination"))


async def test_once_asked_what_is_known_is_enough(examined: Examination, other: Other) -> None:
    assert await examined.verdicts(ALICE, UNCHANGED, False) == {"alice": "open"}
    assert await examined.verdicts(ALICE, UNCHANGED, False) == {"alice": "open"}
    assert other.asked == [["alice"]]


async def test_somebody_new_a_changed_file_and_a_new_day_are_reasons(
    examined: Examination, other: Other, clock: list[float]
) -> None:
    await examined.verdicts(ALICE, UNCHANGED, False)
    await examined.verdicts(BOTH, UNCHANGED, False)
    await examined.verdicts(ALICE, UNCHANGED, False)  # somebody less is no reason
    other.word = "locked"
    assert (await examined.verdicts(BOTH, CHANGED, False))["alice"] == "locked"
    clock[1] += 86400
    await examined.verdicts(BOTH, CHANGED, False)
    clock[0] += examination.AT_LEAST_EVERY
    await examined.verdicts(BOTH, CHANGED, False)
    assert other.asked == [["alice"], *[["alice", "bob"]] * 4]


async def test_a_directory_has_no_file_to_look_at(examined: Examination, other: Other) -> None:
    for _ in range(3):
        await examined.verdicts(ALICE, UNCHANGED, True)
    assert len(other.asked) == 3


async def test_a_failure_says_nothing_about_anybody_and_is_not_repeated_at_once(
    examined: Examination,
    other: Other,
    clock: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    other.word = "locked"
    await examined.verdicts(ALICE, UNCHANGED, True)
    other.fails = True
    for _ in range(3):
        assert await examined.verdicts(ALICE, CHANGED, True) == {}
    assert len(other.asked) == 2
    clock[0] += examination.AFTER_FAILURE
    await examined.verdicts(ALICE, CHANGED, True)
    assert len(other.asked) == 3
    assert [record.getMessage() for record in caplog.records] == [
        "Locks and expiries cannot be seen: no-answer: Too long. ()"
    ]


# Without the clock above, which asyncio would wait by as well.


async def test_an_answer_that_comes_late_is_there_the_next_time(
    other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined = Examination(["sudo"], logging.getLogger("test-examination"))
    other.answers.clear()
    with monkeypatch.context() as patch:
        patch.setattr(examination, "PATIENCE", 0.01)
        for _ in range(3):
            assert await examined.verdicts(ALICE, UNCHANGED, True) == {}
    other.word = "locked"
    other.answers.set()
    assert await examined.verdicts(ALICE, UNCHANGED, False) == {"alice": "locked"}
    assert other.asked == [["alice"]]


async def test_an_answer_from_before_a_change_is_asked_for_again(
    other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined = Examination(["sudo"], logging.getLogger("test-examination"))
    other.answers.clear()
    other.word = "locked"
    with monkeypatch.context() as patch:
        patch.setattr(examination, "PATIENCE", 0.01)
        await examined.verdicts(ALICE, UNCHANGED, False)
    other.answers.set()
    assert await examined.verdicts(ALICE, CHANGED, False) == {}  # she was unlocked meanwhile
    other.word = "open"
    assert await examined.verdicts(ALICE, CHANGED, False) == {"alice": "open"}
    assert other.asked == [["alice"]] * 2


async def test_many_people_are_several_requests(examined: Examination, other: Other) -> None:
    names = {f"u{number}" for number in range(250)}
    assert (await examined.verdicts(names, UNCHANGED, False)).keys() == names
    assert [len(users) for users in other.asked] == [100, 100, 50]
