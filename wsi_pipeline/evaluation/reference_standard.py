"""What is known to be true of a slide, and which figures that allows."""

from dataclasses import dataclass

from wsi_pipeline.annotation.class_truths import is_tumour
from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.cohort.table import CohortSlide, Label
from wsi_pipeline.errors import CohortError
from wsi_pipeline.evaluation.metastasis_size import kind_of
from wsi_pipeline.geometry import Size


@dataclass(frozen=True, slots=True)
class ReferenceStandard:
    """A slide's row and its truth, which do not contradict each other.

    Attributes:
        slide: Its row of the table.
        truth: Where tumour is annotated; None: there is no annotation.
        positive: Whether it holds tumour; None: not known.
        of: The class that stands here for tumour: that which the results are of.
    """

    slide: CohortSlide
    truth: Truth | None
    positive: bool | None
    of: str = "tumour"

    @property
    def of_other_tissue(self) -> bool:
        """Whether the class is not tumour: then there are no metastases to be found."""
        return not is_tumour(self.of)

    @property
    def exhaustive(self) -> bool:
        """Whether what is not annotated as tumour is known to be none."""
        return self.positive is False or (self.positive is True and self.slide.exhaustive)

    @property
    def why_not(self) -> str:
        """Why what is not annotated may be tumour."""
        if self.positive is None:
            return "it has neither a label nor a full annotation"
        if self.slide.annotated == "partial":
            return "not all of its tumour is annotated"
        return "its tumour is not annotated"

    def kind(self, extents_um: tuple[float, ...] | None) -> tuple[Label | None, str]:
        """The kind of metastasis, and whether that is by ``label`` or by ``extent``.

        Args:
            extents_um: Of every lesion; None where they are not known.
        """
        if self.positive is None or self.of_other_tissue:
            return None, ""
        if self.slide.label not in (None, "tumour"):
            return self.slide.label, "label"
        if not self.positive:
            return "normal", "extent"
        return (kind_of(max(extents_um)), "extent") if extents_um else (None, "")


def open_reference_standard(
    slide: CohortSlide, size: Size | None, positive: str | None = None
) -> ReferenceStandard:
    """Open a slide's truth and hold it against its label.

    Args:
        slide: Its row of the table.
        size: Of the slide in level-0 px, where it is known.
        positive: The class that the result is of; None: tumour. Where the table names no classes,
            another one than tumour is looked for under its own name.

    Raises:
        AnnotationError: the truth cannot be read, or does not lie on the slide.
        CohortError: label, annotation state and truth contradict each other.
    """
    if slide.truth is not None and slide.truth_kind is None:
        raise CohortError(None, f"slide {slide.name}: the table does not say its truth_kind")
    of = positive or "tumour"
    truth = _truth(slide, size, of)
    drawn = truth is not None and truth.bounds is not None
    if slide.positive is None:
        return ReferenceStandard(
            slide, truth, drawn if slide.annotated == "full" and truth else None, of
        )
    if drawn and not slide.positive:
        raise CohortError(
            None, f"slide {slide.name} is labelled normal, but {slide.truth} holds tumour"
        )
    if slide.positive and slide.annotated == "full" and not drawn:
        what = "names no annotation" if truth is None else f"finds no tumour in {slide.truth}"
        raise CohortError(
            None,
            f"slide {slide.name} is labelled {slide.label} and fully annotated, but the table "
            f"{what}; write annotation 'none' if there is none",
        )
    return ReferenceStandard(slide, truth, slide.positive, of)


def _truth(slide: CohortSlide, size: Size | None, of: str) -> Truth | None:
    # A mask of one value is of the class that its maker looked for.
    one_value = slide.truth_kind in ("mask-255", "mask-2", "mask-1")
    if is_tumour(of) or slide.tumour_classes or one_value:
        return slide.open_truth(size)
    return slide.open_class_truths([of], size).get(of)
