"""Which groups of an annotation are tumour, and which are cut out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["tumour", "exclusion"]

#: CAMELYON16: ``Tumor``, ``_0``, ``_1``; CAMELYON17: ``metastases``; the rest are QuPath users'.
TUMOUR = frozenset(
    {"tumor", "tumour", "_0", "_1", "metastases", "metastasis", "cancer", "carcinoma"}
)
#: CAMELYON16: ``_2``, ``Exclusion``, ``None``; CAMELYON17: ``normal``; QuPath: ``Ignore*``.
EXCLUSION = frozenset({"_2", "exclusion", "exclude", "none", "normal", "ignore"})


@dataclass(frozen=True, slots=True)
class Groups:
    """What the names of groups and classes mean; capitals do not matter.

    Attributes:
        tumour: Names that mean tumour; empty: the usual ones, :data:`TUMOUR`.
    """

    tumour: tuple[str, ...] = ()

    def role(self, group: str) -> Role | None:
        """What a group is; None: neither.

        QuPath's derived classes (``Tumor: Positive``) are what their first part is, unless named
        themselves.
        """
        tumour = {_plain(name) for name in self.tumour} or TUMOUR
        for name in base_names(group):
            if name in tumour:
                return "tumour"
            if name in EXCLUSION:
                return "exclusion"
        return None

    def excludes(self, group: str) -> bool:
        """Whether a group is surely no tumour; ``None`` is where all lands that nobody sorted."""
        return self.role(group) == "exclusion" and _plain(group) != "none"


def split_names(text: str) -> tuple[str, ...]:
    """Names from ``A; B``, as tables keep them."""
    return tuple(name.strip() for name in text.split(";") if name.strip())


def join_names(names: Sequence[str]) -> str:
    """The inverse of :func:`split_names`."""
    return "; ".join(names)


def _plain(name: str) -> str:
    return name.strip().rstrip("*").casefold()


def base_names(group: str) -> list[str]:
    """A group's name as compared; of a QuPath class ``A: B`` also its first parts, ``A``."""
    parts = [_plain(part) for part in group.split(":")]
    return [": ".join(parts[:count]) for count in range(len(parts), 0, -1)]
