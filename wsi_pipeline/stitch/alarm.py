"""Something of a result that a person has to look at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person has to look at before a result is believed.

    Attributes:
        code: Which, for programs; stays the same.
        message: A sentence for people.
    """

    code: str
    message: str

    def to_json(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {"code": self.code, "message": self.message}
