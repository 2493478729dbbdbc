"""``--artefacts``: which artefacts are asked for, and how strong."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from wsi_pipeline.errors import UsageError
from wsi_pipeline.synth.inks import PEN_COLOURS


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of artefact: its variants, the unit of its strength, and the usual strength.

    Attributes:
        variants: What may follow the name; the first is the usual one.
        unit: ``um``, or empty for a share.
        usual: Strength where none is given.
        span: Least and greatest strength.
    """

    variants: tuple[str, ...]
    unit: str
    usual: float
    span: tuple[float, float]


#: Strengths: share of the ink's density (pen), standard deviation of the blur (blur, defocus),
#: width (fold, gap, cover-slip edge) and diameter (bubble).
KINDS: dict[str, Kind] = {
    "pen": Kind(tuple(PEN_COLOURS), "", 0.9, (0.1, 1.0)),
    "blur": Kind((), "um", 2.5, (0.25, 30)),
    "defocus": Kind((), "um", 2.5, (0.25, 30)),
    "fold": Kind((), "um", 110, (10, 1000)),
    "bubble": Kind((), "um", 1200, (100, 20_000)),
    "coverslip": Kind((), "um", 60, (10, 500)),
    "gap": Kind(("white", "black"), "um", 60, (5, 1000)),
}
#: Strength of ink that nothing shows through.
OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One artefact that is asked for.

    Attributes:
        kind: A key of :data:`KINDS`.
        variant: One of the kind's; empty where it has none.
        strength: In the kind's unit.
        opaque: Ink that nothing shows through.
    """

    kind: str
    variant: str
    strength: float
    opaque: bool = False

    def __str__(self) -> str:
        unit = KINDS[self.kind].unit
        strength = OPAQUE if self.opaque else f"{self.strength:g}{unit}"
        return ":".join(part for part in (self.kind, self.variant, strength) if part)


def parse_artefacts(texts: Iterable[str]) -> tuple[Wanted, ...]:
    """Read ``KIND[:VARIANT][:STRENGTH]``, several with commas; ``all`` is one of each.

    Raises:
        UsageError: something in it is unknown or out of range.
    """
    found: list[Wanted] = []
    for item in (part.strip() for text in texts for part in text.split(",")):
        if item == "all":
            found += _all()
        elif item:
            found.append(_parse(item))
    return tuple(found)


def _all() -> list[Wanted]:
    every = [
        Wanted(name, variant, kind.usual)
        for name, kind in KINDS.items()
        for variant in kind.variants or ("",)
    ]
    return [*every, Wanted("pen", "black", 1.0, opaque=True)]


def _parse(item: str) -> Wanted:
    name, *parts = item.lower().split(":")
    if name not in KINDS:
        raise UsageError(
            f"--artefacts {item}: no kind is called {name!r}; choose {', '.join(KINDS)}"
        )
    kind = KINDS[name]
    variant = kind.variants[0] if kind.variants else ""
    if parts and parts[0] in kind.variants:
        variant = parts.pop(0)
    if not parts:
        return Wanted(name, variant, kind.usual)
    if name == "pen" and parts == [OPAQUE]:
        return Wanted(name, variant, 1.0, opaque=True)
    number = parts[0].removesuffix("µm").removesuffix("um")
    try:
        strength = float(number)
    except ValueError:
        strength = math.nan
    low, high = kind.span
    if len(parts) > 1 or not low <= strength <= high:
        variants = f"[{'|'.join(kind.variants)}:]" if kind.variants else ""
        raise UsageError(
            f"--artefacts {item}: write {name}:{variants}STRENGTH, {low:g} to {high:g} "
            f"{kind.unit or 'of the ink (or opaque)'}".rstrip()
        )
    return Wanted(name, variant, strength)
