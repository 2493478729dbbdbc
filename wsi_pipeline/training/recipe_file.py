"""Recipe files: the shipped ones by name, others by path, and ``KEY=VALUE`` changes of them."""

from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from wsi_pipeline.errors import UsageError

_SUFFIX = ".yaml"
_Recipe = TypeVar("_Recipe", bound=BaseModel)


def shipped() -> list[str]:
    """Names of the recipes that come with the program."""
    folder = resources.files("wsi_pipeline.training") / "recipes"
    return sorted(
        item.name.removesuffix(_SUFFIX) for item in folder.iterdir() if item.name.endswith(_SUFFIX)
    )


def read_facts(recipe: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """What a recipe says, unchecked.

    Args:
        recipe: The name of a shipped one, or a YAML file.
        changes: ``key=value``, keys with dots for what is nested, values as in YAML.

    Raises:
        UsageError: there is no such recipe, or a change makes no sense.
    """
    path = Path(recipe)
    try:
        if recipe in shipped():
            place = resources.files("wsi_pipeline.training") / "recipes" / f"{recipe}{_SUFFIX}"
            text = place.read_text(encoding="utf-8")
        elif path.suffix in (".yaml", ".yml"):
            text = path.read_text(encoding="utf-8")
        else:
            raise UsageError(
                f"no recipe is called {recipe!r}; choose {', '.join(shipped())}, or give a file "
                "that ends in .yaml"
            )
        facts = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"recipe {recipe} cannot be read: {error}") from error
    if not isinstance(facts, dict):
        raise UsageError(f"recipe {recipe} is not a YAML mapping")
    for change in changes:
        apply(facts, change)
    return facts


def checked(kind: type[_Recipe], recipe: str, facts: dict[str, Any]) -> _Recipe:
    """The recipe of a kind that the facts describe.

    Raises:
        UsageError: they do not.
    """
    try:
        return kind.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"recipe {recipe}: {f'{place}: ' if place else ''}{message}") from error


def apply(facts: dict[str, Any], change: str) -> None:
    """Make a ``key=value`` change.

    Raises:
        UsageError: it makes no sense.
    """
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {change!r}: write KEY=VALUE, as epochs=3 or labels.rule=any")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change!r}: the value is not YAML") from error
    if isinstance(value, str):
        # YAML 1.1 takes 1e-4 for a word, because it has no point.
        with suppress(ValueError):
            value = float(value)
    *outer, last = key.strip().split(".")
    place = facts
    for part in outer:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {change!r}: {part} has no parts")
        place = inner
    place[last] = value
