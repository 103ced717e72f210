"""Asks `authenticate` who is locked or has expired, and no oftener than there is a reason to.

Runs in the hub, which itself can read neither. One call of sudo is for everybody, and there is one
at a time.
"""

import asyncio
import logging
import time
from typing import NamedTuple

from unixspawner_mediator.protocol import MAX_EXAMINED, ExamineRequest, Verdict

from . import client
from .client import AskError
from .files import Signature

AT_LEAST_EVERY = 60.0  # seconds
AFTER_FAILURE = 30.0  # seconds; a program that hangs must not be started again and again
PATIENCE = 5.0  # seconds: whoever leaves the group does not wait longer for what PAM says of others
DAY = 86400  # an expiry is the day's, in UTC
Mark = tuple[Signature, int]


class Question(NamedTuple):
    """What has been asked, and when: the files as they were then, and the day."""

    mark: Mark
    answers: asyncio.Task[dict[str, Verdict]]


class Examination:
    """What was asked, when, and what came of it."""

    def __init__(self, sudo_command: list[str], log: logging.Logger) -> None:
        self._sudo_command = sudo_command
        self._log = log
        self._known: dict[str, Verdict] = {}
        self._question: Question | None = None
        self._last: Mark | None = None
        self._next = 0.0
        self._failing = False

    async def verdicts(
        self, names: set[str], signature: Signature, in_a_directory: bool
    ) -> dict[str, Verdict]:
        """What is known of each, asked again if there is a reason to.

        An answer that takes longer than PATIENCE, on a machine with too much to do, is there the
        next time. `in_a_directory`: somebody's account is not in this machine's files, whose dates
        would tell of a change.
        """
        mark = (signature, int(time.time()) // DAY)
        is_new = not names <= self._known.keys() or mark != self._last
        is_due = time.monotonic() >= self._next
        if self._question is None and (
            is_due or ((is_new or in_a_directory) and not self._failing)
        ):
            answers = asyncio.get_running_loop().create_task(self._ask(sorted(names)))
            self._question = Question(mark, answers)
        if self._question is not None:
            await asyncio.wait([self._question.answers], timeout=PATIENCE)
            self._hear(self._question, mark)
        return self._known

    async def _ask(self, names: list[str]) -> dict[str, Verdict]:
        answers: dict[str, Verdict] = {}
        for start in range(0, len(names), MAX_EXAMINED):
            request = ExamineRequest(names[start : start + MAX_EXAMINED])
            reply = await client.request_examine(self._sudo_command, request)
            answers |= reply.verdicts
        return answers

    def _hear(self, question: Question, now: Mark) -> None:
        """Take what has come, unless a file has changed meanwhile: then it is asked again."""
        if not question.answers.done():
            return
        self._question = None
        try:
            answers = question.answers.result()
        except AskError as error:
            self._tell(error)
            self._failing, self._known = True, {}
            self._next = time.monotonic() + AFTER_FAILURE
            return
        self._failing = False
        if question.mark == now:
            self._known, self._last = answers, now
            self._next = time.monotonic() + AT_LEAST_EVERY

    def _tell(self, error: AskError) -> None:
        if not self._failing:  # once is enough
            self._log.error(
                "Locks and expiries cannot be seen: %s: %s (%s)",
                error.code,
                error.message,
                error.detail,
            )
