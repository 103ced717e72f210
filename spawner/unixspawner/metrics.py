"""What Prometheus can ask the hub about us, beside JupyterHub's own figures at /hub/metrics.

Runs in the hub. No label ever has a person's name or anything else that a stranger can choose, so
that the number of time series is bounded: what is not in a list below counts as "other".
"""

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol, get_args

from prometheus_client import Counter, Gauge, Histogram

from . import draining

OTHER = "other"
STAGES = ("session", "program", "total")
"""session: sudo, PAM and the mediator; program: from there to the first answer; total: both."""
Step = Literal["sign-in", "start", "stop"]
REASONS = ("expired", "left-group", "locked", "no-account", "uid-changed")
CODES = frozenset(
    {
        "account-expired",
        "answer-slow",
        "bad-configuration",
        "bad-reply",
        "bad-request",
        "cannot-tell",
        "draining",
        "ended-early",
        "exhausted",
        "hub-account-unusable",
        "internal-error",
        "mediator-missing",
        "no-account",
        "no-answer",
        "no-shell",
        "no-socket",
        "no-such-profile",
        "not-a-member",
        "not-ours",
        "not-permitted",
        "not-the-hub",
        "not-yours",
        "password-expired",
        "passwords-unavailable",
        "program-missing",
        "program-not-roots",
        "session-failed",
        "session-slow",
        "set-id",
        "sudo-missing",
        "sudo-refused",
        "sudo-silent",
        "system-account",
        "too-many-attempts",
        "too-many-processes",
        "wrong-account",
        "wrong-group",
        "wrong-or-unknown",
        "wrong-password",
    }
)
"""Every code of a refusal in docs/administrators.md; a person's own mediator can make others up."""

_START = Histogram(
    "unixspawner_start_seconds",
    "Time that starts of servers take, by stage.",
    ["stage"],
    buckets=(0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 40, 60),
)
_REFUSALS = Counter(
    "unixspawner_refusals",
    "Requests that were refused or failed, by step and by the code in the hub's log.",
    ["step", "code"],
)
_ADOPTIONS = Counter(
    "unixspawner_adoptions",
    "Servers of a former hub: found running (adopted), or gone meanwhile (ended).",
    ["outcome"],
)
_STOPS = Counter(
    "unixspawner_stops", "Stops of servers, by how they went: stopped or failed.", ["outcome"]
)
_REVOCATIONS = Counter(
    "unixspawner_revocations",
    "People whose access was ended while they had it, by reason.",
    ["reason"],
)
_RUNNING = Gauge("unixspawner_running_servers", "Servers whose process runs at this moment.")
_DRAINING = Gauge("unixspawner_draining", "1 while an administrator lets no new servers start.")

# What can happen is there from the beginning, with 0: alerts on a first time need it.
for _stage in STAGES:
    _START.labels(_stage)
for _step in get_args(Step):
    for _code in (*sorted(CODES), OTHER):
        _REFUSALS.labels(_step, _code)
for _reason in (*REASONS, OTHER):
    _REVOCATIONS.labels(_reason)
for _outcome in ("adopted", "ended"):
    _ADOPTIONS.labels(_outcome)
for _outcome in ("stopped", "failed"):
    _STOPS.labels(_outcome)


class Watched(Protocol):
    """A spawner, as far as it is counted."""

    @property
    def is_running(self) -> bool: ...


_spawners: "weakref.WeakSet[Watched]" = weakref.WeakSet()
_RUNNING.set_function(lambda: float(sum(spawner.is_running for spawner in list(_spawners))))
_DRAINING.set_function(lambda: float(draining.is_on()))


def watch(spawner: Watched) -> None:
    """Count this spawner's server while its process runs."""
    _spawners.add(spawner)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time a stage of a start that succeeds; one that fails is a refusal."""
    begun = time.perf_counter()
    yield
    _START.labels(name).observe(time.perf_counter() - begun)


def refused(step: Step, code: str) -> None:
    _REFUSALS.labels(step, code if code in CODES else OTHER).inc()


def adopted(*, runs: bool) -> None:
    _ADOPTIONS.labels("adopted" if runs else "ended").inc()


def stopped(*, well: bool) -> None:
    _STOPS.labels("stopped" if well else "failed").inc()


def revoked(reason: str) -> None:
    """`reason` as in the audit stream."""
    _REVOCATIONS.labels(reason if reason in REASONS else OTHER).inc()
