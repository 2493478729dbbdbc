"""What a result says of the model package that made it."""

from dataclasses import dataclass

from wsi_pipeline.notice import notice_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """The model package: what it is, what it was made for, and whether of drawn tissue.

    Attributes:
        mpp: µm per px it was made for; None where it states a level.
        level: Pyramid level it was made for; None where it states a resolution.
        notice: Shown wherever the result is shown; empty where there is none.
    """

    name: str
    version: str
    sha256: str
    mpp: float | None = None
    level: int | None = None
    synthetic: bool
    intended_use: str = ""
    notice: str = ""

    def __post_init__(self) -> None:
        notice = notice_of(self.notice, synthetic=self.synthetic)
        object.__setattr__(self, "notice", notice)  # frozen, but not yet anybody's
