"""Who asks, and what they may do: what a key, a link and a line of the audit log speak of."""

import enum
from dataclasses import dataclass


class Scope(enum.StrEnum):
    """What a key may do; each includes the one before it."""

    VIEW = "view"
    SUBMIT = "submit"
    ADMIN = "admin"

    def includes(self, other: "Scope") -> bool:
        """Whether this scope is enough where ``other`` is asked for."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks: the workspace, the key's id and its scope, and the session if a browser asks."""

    workspace_id: str
    key_id: str
    scope: Scope
    session_id: str | None = None
