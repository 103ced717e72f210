"""Asks `authenticate` who is locked or has expired, and no oftener than there is a reason to.

Runs in the hub, which itself can read neither. One call of sudo is for everybody.
"""

import logging
import time

from unixspawner_mediator.protocol import MAX_EXAMINED, ExamineRequest, Verdict

from . import client
from .client import AskError
from .files import Signature

AT_LEAST_EVERY = 60.0  # seconds
AFTER_FAILURE = 30.0  # seconds; a program that hangs must not be started again and again
DAY = 86400  # an expiry is the day's, in UTC


class Examination:
    """What was asked, when, and what came of it."""

    def __init__(self, sudo_command: list[str], log: logging.Logger) -> None:
        self._sudo_command = sudo_command
        self._log = log
        self._known: dict[str, Verdict] = {}
        self._last: tuple[Signature, int] | None = None
        self._next = 0.0
        self._failing = False

    async def verdicts(
        self, names: set[str], signature: Signature, in_a_directory: bool
    ) -> dict[str, Verdict]:
        """What is known of each, asked again if there is a reason to.

        `in_a_directory`: somebody's account is not in this machine's files, whose dates would
        tell of a change.
        """
        mark = (signature, int(time.time()) // DAY)
        is_new = not names <= self._known.keys() or mark != self._last
        is_due = time.monotonic() >= self._next
        if is_due or ((is_new or in_a_directory) and not self._failing):
            await self._ask(sorted(names), mark)
        return self._known

    async def _ask(self, names: list[str], mark: tuple[Signature, int]) -> None:
        answers: dict[str, Verdict] = {}
        try:
            for start in range(0, len(names), MAX_EXAMINED):
                request = ExamineRequest(names[start : start + MAX_EXAMINED])
                reply = await client.request_examine(self._sudo_command, request)
                answers |= reply.verdicts
        except AskError as error:
            self._tell(error)
            self._failing, self._known = True, {}
            self._next = time.monotonic() + AFTER_FAILURE
        else:
            self._failing, self._known, self._last = False, answers, mark
            self._next = time.monotonic() + AT_LEAST_EVERY

    def _tell(self, error: AskError) -> None:
        if not self._failing:  # once is enough
            self._log.error(
                "Locks and expiries cannot be seen: %s: %s (%s)",
                error.code,
                error.message,
                error.detail,
            )
