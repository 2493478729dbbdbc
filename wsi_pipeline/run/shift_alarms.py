"""Alarms of slides unlike what the model was trained on, each naming the likely cause."""

from wsi_pipeline.stitch.record import Record
from wsi_pipeline.stitch.shift_record import DifferenceRecord, ShiftRecord

#: Mahalanobis distance that 0.27 % of normally distributed points in three dimensions exceed,
#: the square root of the 0.9973 quantile of χ² with three degrees of freedom: the three-sigma
#: limit of Shewhart's charts for several variables at once (Hotelling 1947).
FAR_COLOURS = 3.763
#: Factor between the sizes of nuclei here and in training patches from which the resolution is
#: doubted. Objectives are a factor of two apart; nuclei of tumours are up to half as large again.
_OTHER_SIZE = 1.7
#: µm, by :func:`~wsi_pipeline.shift.nuclei.nuclei_diameter`: where nothing is known of the
#: training, what real and drawn H&E at the right resolution gave was 3.4 to 6.5.
_USUAL_NUCLEI = (2.2, 10.0)


def unlike_training(record: Record) -> str:
    """The slide is farther from the training data than all but 1 % of held-out slides.

    Where the package holds no slides, or too few, to say so: its mean optical densities lie beyond
    three sigma of the training patches'. That limit is one of single patches, though the slide's
    are means of many: laboratories differ more than the patches of one of them do.
    """
    shift = record.shift
    if shift is not None and shift.p_value is not None:
        if shift.p_value <= shift.level:
            return _unlike(shift)
        if shift.unit == "slide":
            return ""
    distance = None if record.colours is None else record.colours.distance
    if distance is None or distance <= FAR_COLOURS:
        return ""
    return (
        f"the tissue's colours are far from those the model was trained on (distance "
        f"{distance:.1f}, limit {FAR_COLOURS:.1f}): another stain or scanner, or a wrong file"
    )


def _unlike(shift: ShiftRecord) -> str:
    beyond = {
        name: one.distance / one.limit
        for name, one in shift.kinds.items()
        if one.limit and one.distance >= one.limit
    }
    # The p-value is times the number of kinds: rounding may leave none beyond its limit.
    ordered = sorted(beyond, key=lambda name: -beyond[name])
    told = ", ".join(_kind(name, shift.kinds[name], beyond[name]) for name in ordered)
    units = max(one.units for one in shift.kinds.values())
    chance = "p < 0.0001" if (shift.p_value or 0) < 1e-4 else f"p = {shift.p_value:.2g}"
    sentence = (
        f"the slide is unlike the training data ({chance}, compared with {units:,} "
        f"{shift.unit}{'' if units == 1 else 'es' if shift.unit == 'patch' else 's'})"
    )
    if told:
        sentence += f": {told}"
    if shift.nearest is not None and shift.usual_nearest is not None:
        sentence += (
            f"; the nearest training tile is {shift.nearest:.2f} away, usually "
            f"{shift.usual_nearest:.2f}"
        )
    return sentence


def _kind(name: str, one: DifferenceRecord, ratio: float) -> str:
    words = f" ({one.words})" if one.words else ""
    what = "the model's features" if name == "features" else name
    return f"{what}{words} {ratio:.1f} times the limit"


def exchanged_channels(record: Record) -> str:
    """The colours are far as they are, and near with the channels exchanged or inverted."""
    found = "" if record.shift is None else record.shift.swapped
    return (
        f"the slide's colours become those of the training when its channels are taken for "
        f"{found}: the file was probably written by a program that confuses them; write it again"
        if found
        else ""
    )


def nuclei_size(record: Record) -> str:
    """Nuclei are of another size than the training's, or than any: the resolution is doubtful."""
    shift = record.shift
    if shift is None or shift.nuclei is None:
        return ""
    found, usual = shift.nuclei, shift.training_nuclei
    low, high = _USUAL_NUCLEI if usual is None else (usual / _OTHER_SIZE, usual * _OTHER_SIZE)
    if low <= found <= high:
        return ""
    mpp = record.slide.mpp.side
    compared = f"usual are {low:g} to {high:g} µm" if usual is None else f"in training {usual:.1f}"
    likely = mpp / 2 if found > high else mpp * 2
    return (
        f"nuclei are {found:.1f} µm by the resolution of {mpp:.3g} µm/px, {compared}: the "
        f"resolution may be wrong; if px are {likely:.3g} µm, give --slide-mpp {likely:.3g}"
    )


def no_background(record: Record, least_scanned: int) -> str:
    """Of the scanned cells none is glass, or every one.

    A section lies on glass that is scanned with it. With wrong colours or too dark a picture all
    of it counts as tissue, with a pale stain none. Below 16 tiles it may be chance; and a
    piece cut out of a slide may be tissue all over: the sentence says so.

    Args:
        record: What the result says.
        least_scanned: Tiles from which this is no chance.
    """
    glass = record.counts.glass
    scanned = glass + record.counts.classified + record.counts.rejected
    if scanned < least_scanned * record.grid.cells_in_tile or 0 < glass < scanned:
        return ""
    if glass:
        return (
            f"all {scanned:,} scanned cells are glass: the slide is empty, its stain is too pale "
            "for the tissue rule, or its colours are wrong"
        )
    return f"none of the {scanned:,} scanned cells is glass: {_cause_of_no_glass(record.shift)}"


def _cause_of_no_glass(shift: ShiftRecord | None) -> str:
    kinds = {} if shift is None else shift.kinds
    far = {name: one for name, one in kinds.items() if one.limit and one.distance >= one.limit}
    if shift is not None and shift.swapped:
        return f"its colour channels are {shift.swapped}"
    if "texture" in far and "less contrast" in far["texture"].words:
        return "its background is dark or tinted and counts as tissue; look at the white balance"
    if "colour" in far and "darker" in far["colour"].words:
        return "the picture is too dark (exposure or white balance)"
    if kinds and not far:
        return "it looks like the training's tissue all over: probably a piece cut out of tissue"
    return "the slide's colours may be wrong, unless the picture is a piece cut out of tissue"
