"""Kinds of tissue that are planted among normal tissue: which there are, and where they go."""

from dataclasses import dataclass

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Region

#: What can be planted. ``necrosis``: dead tissue, pink and granular, with ghosts of nuclei and
#: dark dust. ``mucin``: pale blue-grey pools with few cells between thin pink septa.
KINDS = ("tumour", "necrosis", "mucin")
#: Names of the classes by index; 0 is where nothing is planted.
CLASSES = ("normal", *KINDS)

Where = float | tuple[Region, ...]
"""A share of the tissue, 0-0.95, or exact rectangles in level-0 px."""


@dataclass(frozen=True, slots=True)
class Plant:
    """One kind of tissue, and where it is planted.

    Raises:
        UsageError: At construction, if there is no such kind or share.
    """

    #: One of :data:`KINDS`.
    kind: str
    #: A share of the tissue, or rectangles in level-0 px.
    where: Where

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(
                f"no kind of tissue is called {self.kind!r}; choose {', '.join(KINDS)}"
            )
        if not isinstance(self.where, tuple) and not 0 <= self.where <= 0.95:
            raise UsageError(f"the {self.kind}'s share must be 0-0.95, not {self.where}")


def parse_tumour(texts: list[str]) -> Where:
    """Read ``none``, a share (``0.12``) or rectangles (``rect:X,Y,W,H``, several with ``;``).

    Args:
        texts: One per use of the option; rectangles add up.

    Returns:
        A share of the tissue, or rectangles in level-0 px.

    Raises:
        UsageError: If the texts make no sense, alone or together.
    """
    return _where(texts, "--tumour", "")


def parse_plants(texts: list[str]) -> tuple[Plant, ...]:
    """Read ``KIND:`` and what :func:`parse_tumour` reads, as ``necrosis:rect:X,Y,W,H``.

    Args:
        texts: One per use of the option; rectangles of one kind add up.

    Returns:
        One per kind, in the order in which the kinds are first named.

    Raises:
        UsageError: If the texts make no sense, alone or together.
    """
    by_kind: dict[str, list[str]] = {}
    for text in texts:
        kind, _, where = text.partition(":")
        kind = kind.strip().lower()
        if kind not in KINDS:
            raise UsageError(
                f"--plant {text!r}: write KIND:SHARE or KIND:rect:X,Y,W,H with a KIND of "
                f"{', '.join(KINDS)}"
            )
        by_kind.setdefault(kind, []).append(where)
    return tuple(Plant(kind, _where(some, "--plant", f"{kind}:")) for kind, some in by_kind.items())


def _where(texts: list[str], option: str, kind: str) -> Where:
    """Read texts of one kind; ``option`` and ``kind`` are for messages."""
    parts = [part.strip() for text in texts for part in text.split(";") if part.strip()]
    if not any(part.lower().startswith("rect:") for part in parts):
        if len(parts) != 1:
            given = option if not kind else f"{option} {kind}…"
            raise UsageError(
                f"{given} takes one share, or 'none', or rectangles (rect:X,Y,W,H, may be repeated)"
            )
        return 0.0 if parts[0].lower() == "none" else _share(parts[0], option, kind)
    return tuple(_rectangle(part, option, kind) for part in parts)


def _share(text: str, option: str, kind: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise UsageError(
            f"{option} {kind + text!r}: write a share such as {kind}0.12, {kind}rect:X,Y,W,H, "
            f"or {kind}none"
        ) from None
    if not 0 <= value <= 1:
        raise UsageError(f"{option} {kind + text!r}: a share of the tissue lies between 0 and 0.95")
    return value


def _rectangle(text: str, option: str, kind: str) -> Region:
    scheme, _, numbers = text.rpartition(":")
    try:
        # Only the first of several has to say what it is. Another scheme has no numbers to
        # unpack, which is the error to report.
        wanted = numbers.split(",") if scheme.lower() in ("rect", "") else []
        x, y, width, height = (int(number) for number in wanted)
        return Region(0, x, y, width, height)
    except ValueError:
        raise UsageError(
            f"{option} {kind + text!r}: write {kind}rect:X,Y,WIDTH,HEIGHT in whole level-0 px"
        ) from None
