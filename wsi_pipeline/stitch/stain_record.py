"""What a result says of its slide's stain, where the model has slides normalised."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StainRecord:
    """The normalisation that px went through before the model saw them.

    Attributes:
        method: ``macenko``, ``reinhard`` or ``vahadane``.
        slide: How the slide is stained: ``haematoxylin`` and ``eosin`` (directions in the optical
            densities of R, G and B) and ``concentrations``; or ``mean`` and ``std`` of L*, a* and
            b*. None where that could not be told, and px stayed as they were.
        target: What it was made like, the same fields.
        reason: Why it could not be told, in words; empty where it could.
    """

    method: str
    slide: dict[str, tuple[float, ...]] | None
    target: dict[str, tuple[float, ...]]
    reason: str = ""
