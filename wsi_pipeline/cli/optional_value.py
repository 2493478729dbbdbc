"""Options whose value may be left out, which neither click nor typer tell from an argument."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

#: Option, and how the name of a file ends that is its value; nothing else that follows it is.
_OPTIONAL = {"--profile": ".json"}


class OptionalValueCommand(TyperCommand):
    """A command of which some options may be given without their value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        return super().parse_args(ctx, with_empty_values(args))


def with_empty_values(arguments: Sequence[str]) -> list[str]:
    """Arguments in which an option without its value has an empty one.

    ``--profile a.svs`` does not name a file for the profile: a slide must never be written over.
    """
    found: list[str] = []
    for place, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[place:]]
        following = arguments[place + 1] if place + 1 < len(arguments) else ""
        ending = _OPTIONAL.get(argument)
        empty = ending is not None and not following.endswith(ending)
        found.append(f"{argument}=" if empty else argument)
    return found
