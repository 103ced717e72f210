"""What the doctor finds: a level, a sentence, and the cure."""

import textwrap
from dataclasses import dataclass

from .terminal import one_line, paint

_LEVEL = 8  # columns of "warning" and a blank


@dataclass(frozen=True)
class Finding:
    """`cure` is a command that can be pasted, or a sentence where no command helps."""

    level: str  # "ok", "warning" or "failure"
    text: str
    cure: str = ""

    @property
    def is_failure(self) -> bool:
        return self.level == "failure"

    @property
    def line(self) -> str:
        return f"{self.level:{_LEVEL}}{self.text}" + (f": {self.cure}" if self.cure else "")

    def shown(self, width: int | None) -> str:
        """For people: the sentence wrapped, the cure below it and never broken."""
        text = one_line(self.text, 600)
        lines = [text] if width is None else textwrap.wrap(text, max(20, width - _LEVEL))
        head = paint(f"{self.level:{_LEVEL}}", self.level)
        blank = " " * _LEVEL
        cure = [f"{blank}cure: {one_line(self.cure, 600)}"] if self.cure else []
        return "\n".join([head + lines[0], *(blank + line for line in lines[1:]), *cure])


def judge(
    is_right: bool, text: str, cure: str, level: str = "failure", *, wrong: str = ""
) -> Finding:
    """`text` says what should be; `wrong` what is instead, where that can be said."""
    return Finding("ok", text) if is_right else Finding(level, wrong or f"not so: {text}", cure)
