"""Which extra of the installation a missing library belongs to."""

import importlib.util
import re
from importlib import metadata

_PROJECT = "wsi-pipeline"
#: What is offered: the first of these that has the library, itself or through another extra.
_OFFERED = ("inference", "images", "service", "training", "features")
_REQUIREMENT = re.compile(
    r"""(?P<name>[\w.-]+)(\[(?P<extras>[\w,\s-]+)\])?.*;.*extra\s*==\s*["'](?P<of>[\w-]+)["']"""
)


def extra_with(module: str | None) -> str | None:
    """The extra to install for a module; None if it belongs to none.

    The project's metadata say it, as ``pip`` reads them.

    Args:
        module: Its full name, as in :attr:`ImportError.name`.
    """
    wanted = _normal((module or "").partition(".")[0])
    listed, included = _lists()
    for extra in _OFFERED:
        reached, left = set(), [extra]
        while left:
            one = left.pop()
            reached |= listed.get(one, set())
            left += included.get(one, ())
        if wanted in reached:
            return extra
    return None


def require(*modules: str) -> None:
    """Find out now that a program which is about to be started would lack a library.

    Raises:
        ModuleNotFoundError: one is not installed; as if it had been imported here.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def _lists() -> tuple[dict[str, set[str]], dict[str, list[str]]]:
    """Of each extra: the libraries it names, and the other extras it includes."""
    listed: dict[str, set[str]] = {}
    included: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires(_PROJECT) or []
    except metadata.PackageNotFoundError:  # run from its source folder
        requirements = []
    for requirement in requirements:
        found = _REQUIREMENT.match(requirement)
        if found is None:
            continue
        if _normal(found["name"]) == _normal(_PROJECT):
            names = (found["extras"] or "").split(",")
            included.setdefault(found["of"], []).extend(name.strip() for name in names)
        else:
            listed.setdefault(found["of"], set()).add(_normal(found["name"]))
    return listed, included


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
