"""Who exists and who is in our groups, as the name service tells it now: yes, no, cannot tell.

Runs in the hub. Normally one look through the C library is enough. Only when that does not confirm
what we believe of a person is each name service asked by itself, in a child that can be ended: a
service that is down must not look like somebody who has left.
"""

import asyncio
import contextlib
import enum
import functools
import json
import os
import subprocess
import sys
from typing import NamedTuple

from unixspawner_mediator import each_service, name_service
from unixspawner_mediator.each_service import Question, Reports
from unixspawner_mediator.name_service import NO_GROUP, UnavailableError

from . import lookups

AT_ONCE = 20  # people in one call; more is no quicker
PATIENCE = 1.5  # seconds for one call: about 75 ms a person
# Of these seconds services get each_service.PATIENCE, whatever they do; the others are for a
# machine that needs long to begin a program. With fewer nobody would ever be put out there.
CHILD_PATIENCE = 30.0
_CODE = (
    "import sys; sys.path[:0] = [sys.argv[1]]; "
    "from unixspawner_mediator.each_service import main; main()"
)


class Answer(enum.Enum):
    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


class Belief(NamedTuple):
    """What we hold true of a person until the name service says no. `uid` 0 is any."""

    name: str
    uid: int
    groups: frozenset[str]


class Standing(NamedTuple):
    """The name service's word on a belief. `uid` is the account's, 0 where there is none."""

    uid: int
    account: Answer
    groups: dict[str, Answer]


class Vouchers(NamedTuple):
    """Which services have vouched for a person: only their silence counts later."""

    account: frozenset[str]
    groups: dict[str, frozenset[str]]


class Membership:
    """Our groups, and what is remembered of them between two questions."""

    def __init__(self, users_group: str, *others: str) -> None:
        self._users_group = users_group
        self._gids = dict.fromkeys((users_group, *others), NO_GROUP)
        self._vouchers: dict[str, Vouchers] = {}
        self.silent: list[str] = []
        """The services that did not answer when they were last asked one by one."""

    async def admission(self, belief: Belief) -> Standing:
        """For somebody who wants to come in now: nothing is guessed, nothing is remembered.

        When the name service hangs, so would sudo; then that is the answer, and soon.
        """
        seen = (await self._look([belief])).get(belief.name)
        if seen is None or confirms(seen, belief):
            return seen or _nothing_known(belief)
        return judge(belief, await self._ask_each([belief.name]), None)

    async def comes_back(self, name: str) -> bool:
        """Whether the name service gives an answer at all, whichever."""
        return name in await self._look([Belief(name, 0, frozenset())])

    async def standings(self, beliefs: list[Belief]) -> dict[str, Standing]:
        """For people who are in: what is known of each, at the latest after a few seconds."""
        seen = await self._look(beliefs)
        doubted = [
            belief
            for belief in beliefs
            if belief.name not in seen or not confirms(seen[belief.name], belief)
        ]
        if doubted:
            reports = await self._ask_each([belief.name for belief in doubted])
            for belief in doubted:
                seen[belief.name] = judge(belief, reports, self._vouchers.get(belief.name))
        return seen

    @property
    def known(self) -> frozenset[str]:
        """Those of whom it is known which services know them."""
        return frozenset(self._vouchers)

    def is_local(self, name: str) -> bool:
        """Whether the account is known to stand in this machine's own files."""
        return name in self._vouchers and self._vouchers[name].account == {"files"}

    async def remember_vouchers(self, names: list[str]) -> None:
        """Ask which services know these people, for the day when one of them is silent."""
        reports = await self._ask_each(names)
        for name in names:
            found = vouchers(name, reports, self._vouchers.get(name))
            # otherwise they are here on the word of a service that is silent now
            if found.account and self._users_group in found.groups:
                self._vouchers[name] = found

    def forget(self, names: frozenset[str]) -> None:
        """Nothing is kept of people who have nothing to lose."""
        for name in names & self._vouchers.keys():
            del self._vouchers[name]

    async def _look(self, beliefs: list[Belief]) -> dict[str, Standing]:
        """One look through the C library; those whose answer takes too long are left out."""
        seen: dict[str, Standing] = {}
        for start in range(0, len(beliefs), AT_ONCE):
            part = beliefs[start : start + AT_ONCE]
            try:
                seen |= await lookups.call(functools.partial(self._look_at, part), PATIENCE)
            except lookups.NoAnswerError:
                break  # the others would wait for the same service
        return seen

    def _look_at(self, beliefs: list[Belief]) -> dict[str, Standing]:
        """Runs in a thread: everything here may hang."""
        for group in self._gids:
            with contextlib.suppress(UnavailableError):
                self._gids[group] = name_service.find_group(group) or NO_GROUP
        return {belief.name: self._look_at_one(belief) for belief in beliefs}

    def _look_at_one(self, belief: Belief) -> Standing:
        try:
            entry = name_service.find_account(belief.name)
        except UnavailableError:
            return _nothing_known(belief)
        if entry is None:
            return Standing(0, Answer.NO, dict.fromkeys(self._gids, Answer.NO))
        ids = name_service.group_ids(belief.name, entry.gid)
        groups = {
            group: Answer.YES if number in ids else Answer.NO
            for group, number in self._gids.items()
        }
        return Standing(entry.uid, Answer.YES, groups)

    async def _ask_each(self, names: list[str]) -> Reports:
        """Empty when the child gave no answer, which is no answer of any service."""
        question = json.dumps(Question(names, self._gids)._asdict())
        answer = await asyncio.to_thread(_run_child, question)
        reports = each_service.parse(json.loads(answer or "{}"))
        self.silent = each_service.silent(reports) if reports else ["all"]
        return reports


def _nothing_known(belief: Belief) -> Standing:
    return Standing(0, Answer.CANNOT_TELL, dict.fromkeys(belief.groups, Answer.CANNOT_TELL))


def confirms(standing: Standing, belief: Belief) -> bool:
    """Whether a single look is enough. That it says no proves nothing."""
    return (
        standing.account is Answer.YES
        and standing.uid == (belief.uid or standing.uid)
        and all(standing.groups[group] is Answer.YES for group in belief.groups)
    )


def judge(belief: Belief, reports: Reports, vouched: Vouchers | None) -> Standing:
    """What the services say, each for itself. Pure.

    A service that is silent counts when it has vouched before, or when nobody knows who has.
    """
    if not reports:
        return _nothing_known(belief)
    uid, account = _judge_account(belief.name, reports, vouched)
    groups = {group: _judge_group(belief.name, group, reports, vouched) for group in belief.groups}
    return Standing(uid, account, groups)


def _judge_account(name: str, reports: Reports, vouched: Vouchers | None) -> tuple[int, Answer]:
    for service, report in reports.items():
        if report is None:
            if vouched is None or service in vouched.account:
                return 0, Answer.CANNOT_TELL
        elif entry := report.accounts.get(name):
            return entry.uid, Answer.YES
    return 0, Answer.NO


def _judge_group(name: str, group: str, reports: Reports, vouched: Vouchers | None) -> Answer:
    if group in set().union(*_memberships(name, reports).values()):
        return Answer.YES
    silent = {service for service, report in reports.items() if report is None}
    counts = silent if vouched is None else silent & vouched.groups.get(group, frozenset())
    return Answer.CANNOT_TELL if counts else Answer.NO


def _memberships(name: str, reports: Reports) -> dict[str, frozenset[str]]:
    """By service that answers, the groups that the person is in."""
    answering = {service: report for service, report in reports.items() if report}
    return {service: report.groups[name] for service, report in answering.items()}


def vouchers(name: str, reports: Reports, before: Vouchers | None) -> Vouchers:
    """Who vouches for a person; a service that is silent now still does as it did. Pure."""
    before = before or Vouchers(frozenset(), {})
    silent = {service for service, report in reports.items() if report is None}
    account = {s for s, report in reports.items() if report and name in report.accounts}
    groups = {group: who & silent for group, who in before.groups.items() if who & silent}
    for service, member_of in _memberships(name, reports).items():
        for group in member_of:
            groups[group] = groups.get(group, frozenset()) | {service}
    return Vouchers(frozenset(account) | before.account & silent, groups)


def _run_child(question: str) -> str:
    """The answer, empty when there is none in time."""
    root = os.path.dirname(os.path.dirname(each_service.__file__))
    try:
        done = subprocess.run(
            [sys.executable, "-IS", "-c", _CODE, root],
            input=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env={},
            cwd="/",
            timeout=CHILD_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
