"""Which resolutions cannot be true of a slide, by what else is known of it.

A coarse resolution alone is none: a coarse level kept as a file of its own has one. What speaks
against a resolution is the size it gives the glass, the objective, and what light can resolve.
"""

import math

from wsi_pipeline.geometry import MPP_RANGE, Mpp, Size

#: Longer and shorter side, mm, of what a file may claim: glass slides are 76 × 26 mm (ISO 8037-1),
#: large ones 76 × 52 mm (2 × 3 inches); a scan may show some of the stage around them.
_GLASS_MM = (80.0, 60.0)
#: The same of what a person states: the largest glass of whole-organ sections, 6 × 8 inches.
_LARGEST_GLASS_MM = (205.0, 155.0)
#: Rule of thumb of the field: 40× is 0.25 µm per px, 20× is 0.5.
_UM_TIMES_OBJECTIVE = 10.0
#: Px this many times finer than the objective's usual ones are none of it. Coarser ones may be a
#: coarser level of its scan.
_FINER_THAN_OBJECTIVE = 4.0


def usual_mpp(objective: float | None) -> float | None:
    """µm per px that scanners usually make with an objective; None where none is stated.

    A suggestion for people: cameras and adapters differ, so nothing is computed with it.
    """
    return _UM_TIMES_OBJECTIVE / objective if objective and 0 < objective < math.inf else None


def contradiction(mpp: Mpp, size: Size, objective: float | None, *, by_hand: bool = False) -> str:
    """Why a resolution cannot be true; empty if it can.

    Args:
        mpp: µm per level-0 px.
        size: Of the slide, level-0 px.
        objective: Nominal magnification, if stated.
        by_hand: Whether a person states it, who may know of glass larger than usual.
    """
    width_mm, height_mm = size.width * mpp.x / 1000, size.height * mpp.y / 1000
    longest, shortest = _LARGEST_GLASS_MM if by_hand else _GLASS_MM
    if max(width_mm, height_mm) > longest or min(width_mm, height_mm) > shortest:
        return (
            f"its {size} px would be {width_mm:,.0f} × {height_mm:,.0f} mm, more than a glass "
            f"slide ({longest:.0f} × {shortest:.0f} mm at most)"
        )
    if min(mpp.x, mpp.y) < MPP_RANGE[0]:
        return f"no light microscope resolves px finer than {MPP_RANGE[0]:g} µm"
    usual = usual_mpp(objective)
    if usual is not None and mpp.side * _FINER_THAN_OBJECTIVE < usual:
        return f"its {objective:g}× objective makes px of about {usual:g} µm"
    return ""
