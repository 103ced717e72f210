"""Who visits, as the hub says, and whether that person may use this server.

Run as the person signed in. A visitor is not always the account that the server runs as: an
administrator or somebody with a share may visit too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Visitor:
    name: str
    kind: str  # "user" or "service"
    scopes: frozenset[str]

    @property
    def label(self) -> str:
        """The name for headers and pages; a service cannot pass for a person."""
        return self.name if self.kind == "user" else f"{self.kind}:{self.name}"

    @property
    def log_name(self) -> str:
        """One line, and not too long, whatever the name is made of."""
        return ascii(self.label)[1:-1][:100]


def parse_visitor(model: object) -> Visitor:
    """Reads the answer of GET /user. Raises ValueError when it is not one."""
    if not isinstance(model, dict):
        raise ValueError("the answer is not an object")
    name, kind, scopes = model.get("name"), model.get("kind", "user"), model.get("scopes")
    if not isinstance(name, str) or not name or not isinstance(kind, str):
        raise ValueError("the answer has no name")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise ValueError("the answer has no scopes")
    return Visitor(name=name, kind=kind, scopes=frozenset(scopes))


@lru_cache(maxsize=64)
def may_access(visitor: Visitor, required: frozenset[str]) -> bool:
    """True when one of the required scopes is held, itself or within a wider one.

    https://jupyterhub.readthedocs.io/en/stable/rbac/scopes.html: no filter means everything,
    a person's filter covers that person's servers. Groups are resolved by the hub beforehand.
    """
    return any(_covers(held, scope) for scope in required for held in visitor.scopes)


def _covers(held: str, required: str) -> bool:
    held_base, _, held_filter = held.partition("!")
    base, _, required_filter = required.partition("!")
    if held_base != base:
        return False
    if not held_filter or held_filter == required_filter:
        return True
    kind, _, owner = held_filter.partition("=")
    required_kind, _, server = required_filter.partition("=")
    return kind == "user" and required_kind == "server" and server.partition("/")[0] == owner != ""
