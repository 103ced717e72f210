"""Fills in the templates of config/ and sudoers.d/. Pure.

`@name@` becomes a value; lines between `#if name` and `#endif` stay when the name is set. A name
that nobody gave is an error: a half-filled file must never reach the machine.
"""

import re
from collections.abc import Mapping, Set

_PLACE = re.compile(r"@([a-z_]+)@")


class TemplateError(Exception):
    """A template asks for something that it is not given."""


def render(template: str, values: Mapping[str, str], conditions: Mapping[str, bool]) -> str:
    lines = _choose(template.splitlines(), conditions)
    text = "\n".join(lines) + "\n"
    _require_known(set(_PLACE.findall(text)), values.keys())
    return _PLACE.sub(lambda match: values[match[1]], text)


def _choose(lines: list[str], conditions: Mapping[str, bool]) -> list[str]:
    chosen, keep = [], True
    for line in lines:
        if line.startswith("#if "):
            name = line.removeprefix("#if ").strip()
            _require_known({name}, conditions.keys())
            keep = conditions[name]
        elif line.strip() == "#endif":
            keep = True
        elif keep:
            chosen.append(line)
    return chosen


def _require_known(asked: Set[str], given: Set[str]) -> None:
    if unknown := asked - given:
        raise TemplateError(f"unknown in a template: {', '.join(sorted(unknown))}")
