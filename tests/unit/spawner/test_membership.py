"""Yes, no, and cannot tell: what the hub makes of the services' words."""

import os
import pathlib
import pwd
import sys
import threading
import time

import pytest

from unixspawner import admission, lookups, membership
from unixspawner.client import AskError
from unixspawner.membership import Answer, Belief, Membership, Standing, Vouchers, judge, vouchers
from unixspawner_mediator import name_service
from unixspawner_mediator.each_service import Report, Reports
from unixspawner_mediator.name_service import Entry

USERS = "jupyterhub-users"
ALICE = Belief("alice", 1001, frozenset({USERS}))
YES, NO, CANNOT_TELL = Answer.YES, Answer.NO, Answer.CANNOT_TELL


def says(uid: int | None, *groups: str) -> Report:
    """What a service says of alice."""
    accounts = {} if uid is None else {"alice": Entry("alice", uid, uid)}
    return Report(accounts, {"alice": frozenset(groups)})


NOTHING = says(None)
BY_FILES = Vouchers(frozenset({"files"}), {USERS: frozenset({"files"})})
BY_SSS = Vouchers(frozenset({"sss"}), {USERS: frozenset({"sss"})})
SPLIT = Vouchers(frozenset({"sss"}), {USERS: frozenset({"files"})})


@pytest.mark.parametrize(
    ("reports", "vouched", "account", "group"),
    [
        # everybody answers
        ({"files": says(1001, USERS), "sss": NOTHING}, None, YES, YES),
        ({"files": says(1001), "sss": NOTHING}, None, YES, NO),
        ({"files": NOTHING, "sss": NOTHING}, BY_FILES, NO, NO),
        ({"files": says(None, USERS), "sss": says(1001)}, SPLIT, YES, YES),
        # one is silent, and nobody knows whether it would have said yes
        ({"files": NOTHING, "sss": None}, None, CANNOT_TELL, CANNOT_TELL),
        ({"files": says(1001), "sss": None}, None, YES, CANNOT_TELL),
        ({"files": says(1001, USERS), "sss": None}, None, YES, YES),
        # the one that is silent had vouched
        ({"files": NOTHING, "sss": None}, BY_SSS, CANNOT_TELL, CANNOT_TELL),
        ({"files": says(None, USERS), "sss": None}, SPLIT, CANNOT_TELL, YES),
        ({"sss": None, "files": says(1001)}, BY_SSS, CANNOT_TELL, CANNOT_TELL),
        # it had not: its silence protects nobody
        ({"files": NOTHING, "sss": None}, BY_FILES, NO, NO),
        ({"files": says(1001), "sss": None}, BY_FILES, YES, NO),
        ({"sss": None, "files": says(1001, USERS)}, BY_FILES, YES, YES),
        ({"files": NOTHING, "sss": None}, SPLIT, CANNOT_TELL, NO),
        # nobody answers, not even the child
        ({"files": None, "sss": None}, None, CANNOT_TELL, CANNOT_TELL),
        ({}, BY_FILES, CANNOT_TELL, CANNOT_TELL),
    ],
)
def test_a_silent_service_counts_when_it_has_vouched_or_might_have(
    reports: Reports, vouched: Vouchers | None, account: Answer, group: Answer
) -> None:
    standing = judge(ALICE, reports, vouched)
    assert (standing.account, standing.groups) == (account, {USERS: group})


def test_the_first_service_that_knows_the_name_gives_the_number() -> None:
    reports: Reports = {"files": says(1001), "sss": says(5001)}
    assert judge(ALICE, reports, None).uid == 1001


def test_who_vouches_is_who_says_yes() -> None:
    reports: Reports = {"files": says(None, USERS), "sss": says(5001, "lab")}
    expected = {USERS: frozenset({"files"}), "lab": frozenset({"sss"})}
    assert vouchers("alice", reports, None) == Vouchers(frozenset({"sss"}), expected)


def test_a_service_that_has_become_silent_still_vouches() -> None:
    reports: Reports = {"files": says(None, USERS), "sss": None}
    both = {USERS: frozenset({"files", "sss"})}
    assert vouchers("alice", reports, BY_SSS) == Vouchers(frozenset({"sss"}), both)


def test_a_service_that_says_no_now_does_not_vouch_any_more() -> None:
    reports: Reports = {"files": says(1001, USERS), "sss": NOTHING}
    assert vouchers("alice", reports, BY_SSS) == BY_FILES


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        (Standing(0, NO, {USERS: NO}), "not-a-member"),
        (Standing(1001, YES, {USERS: NO}), "not-a-member"),
        (Standing(1001, YES, {USERS: CANNOT_TELL}), "cannot-tell"),
        (Standing(0, CANNOT_TELL, {USERS: NO}), "cannot-tell"),
    ],
)
def test_nobody_comes_in_on_a_guess(standing: Standing, code: str) -> None:
    admission.require_admission("alice", USERS, Standing(1001, YES, {USERS: YES}))
    with pytest.raises(AskError) as caught:
        admission.require_admission("alice", USERS, standing)
    assert caught.value.code == code


# On this machine

ME = pwd.getpwuid(os.getuid()).pw_name
MY_GROUP = "daemon"


async def test_an_account_and_a_membership_that_exist_are_confirmed() -> None:
    belief = Belief("daemon", 1, frozenset({MY_GROUP}))
    standing = await Membership(MY_GROUP).admission(belief)
    assert standing == Standing(1, YES, {MY_GROUP: YES})


async def test_what_does_not_exist_is_a_certain_no() -> None:
    belief = Belief("no-such-account", 0, frozenset({MY_GROUP}))
    standings = await Membership(MY_GROUP, "no-such-group").standings([belief])
    assert standings == {"no-such-account": Standing(0, NO, {MY_GROUP: NO})}


async def test_a_group_that_does_not_exist_has_no_members() -> None:
    belief = Belief("daemon", 1, frozenset({"no-such-group"}))
    standing = await Membership("no-such-group").admission(belief)
    assert standing.groups == {"no-such-group": NO}


async def test_vouchers_are_kept_for_those_who_are_known_and_in_the_group() -> None:
    known = Membership(MY_GROUP)
    await known.standings([Belief("daemon", 1, frozenset({MY_GROUP}))])
    await known.remember_vouchers(["daemon", "no-such-account", "bin"])
    assert known.known == {"daemon"}
    assert known.is_local("daemon")
    known.forget(frozenset({"daemon"}))
    assert known.known == frozenset()


# A name service that hangs


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The C library's calls wait for this; they come back when the test is over."""
    release = threading.Event()

    def find_account(_name: str) -> None:
        release.wait()

    monkeypatch.setattr(name_service, "find_account", find_account)
    monkeypatch.setattr(membership, "PATIENCE", 0.05)
    return release


async def test_who_wants_to_come_in_while_it_hangs_is_told_soon(hanging: threading.Event) -> None:
    begun = time.monotonic()
    standing = await Membership(USERS).admission(ALICE)
    assert time.monotonic() - begun < 1
    assert standing == Standing(0, CANNOT_TELL, {USERS: CANNOT_TELL})
    assert not await Membership(USERS).comes_back("alice")
    hanging.set()


async def test_only_so_many_calls_are_left_hanging(hanging: threading.Event) -> None:
    before = threading.active_count()
    for _ in range(lookups.MAX_LEFT + 5):
        assert not await Membership(USERS).comes_back("alice")
    assert threading.active_count() <= before + lookups.MAX_LEFT
    hanging.set()
    while lookups._running:
        time.sleep(0.01)  # the pace of looking
    assert await lookups.call(lambda: "back", 1) == "back"


async def test_what_a_call_raises_is_raised() -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await lookups.call(fail, 1)


async def test_on_a_machine_that_needs_seconds_to_begin_a_program_a_no_is_heard(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "python"
    slow.write_text(f'#!/bin/sh\nsleep 3.5\nexec {sys.executable} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    nobody = Belief("unixspawner-nobody", 0, frozenset({USERS}))
    standing = (await Membership(USERS).standings([nobody]))[nobody.name]
    assert (standing.account, standing.groups[USERS]) == (NO, NO)
