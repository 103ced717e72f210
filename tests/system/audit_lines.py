"""The audit stream since a moment, as the hub's log has it. Run by pytest as root."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.system.host import wait_for
from tests.system.logs import HubLog

_LINE = re.compile(r"^.*?\bAudit: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class AuditLines:
    hub_log: HubLog

    def all(self) -> list[str]:
        return _LINE.findall(self.hub_log.text())

    def about(self, name: str) -> list[str]:
        """The lines that name the person, on either side."""
        pattern = re.compile(rf"\b(who|whom)={re.escape(name)}(/\S+)?( |$)")
        return [line for line in self.all() if pattern.search(line)]

    def wait_for(self, line: str) -> None:
        wait_for(f"the audit line {line!r}", lambda: line in self.all())
