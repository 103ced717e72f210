"""Numbers and times in the words of a table: short, and the same everywhere. Pure."""

from datetime import datetime, timedelta

_UNITS = ("KB", "MB", "GB", "TB")


def octets(number: int) -> str:
    """1,536 is "1.5 KB"; thousands are 1024, as in ls and top."""
    value = float(number)
    for unit in _UNITS:
        value /= 1024
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    raise AssertionError(number)


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def moment(when: datetime | None, now: datetime) -> str:
    """The time of day, with the weekday or the date where it was not today."""
    if when is None:
        return "-"
    here = when.astimezone(now.tzinfo)
    if here.date() == now.date():
        return here.strftime("%H:%M")
    if timedelta(0) < now - here < timedelta(days=6):
        return here.strftime("%a %H:%M")
    return here.strftime("%Y-%m-%d")


def ago(when: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit of which there are two."""
    if when is None:
        return "-"
    seconds = max(0, int((now - when).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length} {unit}"
    return "now" if seconds < 5 else f"{seconds} s"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def iso(when: datetime | None) -> str | None:
    return when.astimezone().isoformat(timespec="seconds") if when else None
