"""Examines an installation: what is right, what is wrong, and the cure. Changes nothing.

Each module of `checks` looks at one thing. What it finds out it says as it is: a line for what is
right, another for what is not, with a command that puts it right.
"""

from collections.abc import Callable, Iterator, Sequence

from . import terminal, wording
from .checks import (
    accounts,
    applications,
    clock,
    disk,
    files,
    hub,
    limits,
    pam,
    privileges,
    processes,
    proxy,
    releases,
    service,
    sockets,
    tls,
    versions,
)
from .errors import AdminError
from .findings import Finding, judge
from .options import Options

__all__ = ["CHECKS", "Finding", "examine", "judge", "summary", "table"]

Check = Callable[[Options], Iterator[Finding]]

CHECKS: Sequence[Check] = (
    accounts.check,
    files.check,
    pam.check,
    limits.check,
    privileges.check,
    processes.check,
    service.check,
    sockets.check,
    hub.check,
    proxy.check,
    applications.check,
    tls.check,
    disk.check,
    clock.check,
    versions.check,
    releases.check,
)


def examine(options: Options) -> Iterator[Finding]:
    """One finding after the other, as they are made."""
    for check in CHECKS:
        yield from _safely(check, options)


def _safely(check: Check, options: Options) -> Iterator[Finding]:
    """A check that cannot look, for whatever reason, is a finding and not the end of the others."""
    try:
        yield from check(options)
    except Exception as error:
        name = check.__module__.rpartition(".")[2]
        reason = str(error) if isinstance(error, OSError | AdminError) else repr(error)
        yield Finding("failure", f"{name} cannot be examined: {reason}")


def summary(findings: Sequence[Finding]) -> str:
    counts = {level: sum(1 for each in findings if each.level == level) for level in _LEVELS}
    if len(findings) == counts["ok"]:
        return f"All is well: {wording.count(counts['ok'], 'check')}."
    told = [
        wording.count(counts["failure"], "failure"),
        wording.count(counts["warning"], "warning"),
    ]
    return f"{' and '.join(told)} in {wording.count(len(findings), 'check')}."


_LEVELS = ("ok", "warning", "failure")


def table(findings: Sequence[Finding]) -> dict[str, object]:
    """For programs."""
    counts = {level: sum(1 for each in findings if each.level == level) for level in _LEVELS}
    listed = [{"level": each.level, "text": each.text, "cure": each.cure} for each in findings]
    return {"host": terminal.host(), "counts": counts, "findings": listed}
