"""How many µm a slide's px measure, and which level shows them at the resolution asked for."""

from dataclasses import dataclass

from wsi_pipeline.errors import SlideMetadataError, UsageError
from wsi_pipeline.geometry import MPP_RANGE, NO_STRETCH, Mpp, PerAxis
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.plausibility import contradiction, usual_mpp

#: What nearly every pathology scanner makes; outside it a person should look.
USUAL_MPP = (0.15, 1.1)
#: A level this near to the resolution asked for is used as it is.
LEVEL_TOLERANCE = 0.05
#: Enlarging more than this invents detail the scanner never saw.
MAX_ENLARGEMENT = 2.2


@dataclass(frozen=True, slots=True)
class Resolution:
    """The resolution of an analysis and where its px come from.

    Analysis px are square. Where the slide's are not, ``stretch`` level px along each axis make a
    square one; ``scale`` of those make an analysis px.

    Attributes:
        level: Pyramid level whose px are read.
        scale: Level px per analysis px, but for the stretch: 1 where the level is used as it is,
            more where it is reduced, less where it is enlarged.
        mpp_0: µm per level-0 px.
        mpp: µm per analysis px.
        stretch: Level px along x and y that make a square px; 1 × 1 where they are square.
        warnings: What a person should know of the choice.
    """

    level: int
    scale: float
    mpp_0: Mpp
    mpp: Mpp
    stretch: PerAxis = NO_STRETCH
    warnings: tuple[str, ...] = ()


def agree(one: float, other: float) -> bool:
    """Whether two spacings can be of one that was asked for.

    Both are within 5 % of it where levels were used as they are, so they may differ by more.

    Args:
        one: µm per px.
        other: µm per px.
    """
    most = (1 + LEVEL_TOLERANCE) / (1 - LEVEL_TOLERANCE)
    return max(one, other) <= min(one, other) * most


def slide_mpp(info: SlideInfo, override: float | None = None) -> tuple[Mpp, tuple[str, ...]]:
    """µm per level-0 px, with warnings.

    Args:
        info: The slide.
        override: µm per level-0 px to believe instead of the file.

    Raises:
        SlideMetadataError: the file states none, or one that contradicts what else it states, and
            there is no override; or the override contradicts the slide's size.
        UsageError: the override cannot be true of any slide.
    """
    if override is not None:
        low, high = MPP_RANGE
        if not low <= override <= high:
            raise UsageError(f"--slide-mpp {override:g} is not between {low} and {high} µm/px")
        mpp = Mpp(override, override)
        wrong = contradiction(mpp, info.size, None, by_hand=True)
        if wrong:
            raise SlideMetadataError(info.path, f"cannot have px of {override:g} µm: {wrong}")
        return mpp, ()
    remedy = "--slide-mpp (`slide_mpp`), µm per level-0 px"
    usual = usual_mpp(info.objective)
    if info.mpp is None:
        hint = f"give it with {remedy}"
        if usual is not None:
            hint = (
                f"a {info.objective:g}× objective usually makes px of {usual:g} µm: if that holds "
                f"here, give --slide-mpp {usual:g} (`slide_mpp`), µm per level-0 px"
            )
        raise SlideMetadataError(
            info.path, f"states no resolution, which areas need (with --level, too); {hint}"
        )
    wrong = contradiction(info.mpp, info.size, info.objective)
    if wrong:
        raise SlideMetadataError(
            info.path,
            f"states an implausible resolution of {info.mpp}: {wrong}; give the true one with "
            f"{remedy}",
        )
    return info.mpp, tuple(_oddities(info.mpp, info.objective))


def choose_resolution(
    info: SlideInfo,
    *,
    mpp: float | None,
    level: int | None,
    override: float | None = None,
) -> Resolution:
    """Choose the level to read: the one asked for, or the one that fits ``mpp``.

    A level within 5 % of ``mpp`` is used as it is; else the next finer one is resampled. Px that
    are not square are resampled to square ones, whose side is the coarser axis: levels are chosen
    by it, and a level that is used as it is keeps its px along it.

    Args:
        info: The slide.
        mpp: Wanted µm per analysis px; ignored where ``level`` is given.
        level: Pyramid level to use as it is.
        override: µm per level-0 px to believe instead of the file.

    Raises:
        SlideMetadataError: the resolution is unknown or implausible, the level does not exist, or
            the slide has no detail at ``mpp``.
        UsageError: neither ``mpp`` nor ``level`` is given.
    """
    if level is not None and not 0 <= level < len(info.levels):
        raise SlideMetadataError(info.path, f"has levels 0 to {len(info.levels) - 1}, not {level}")
    mpp_0, warnings = slide_mpp(info, override)
    if level is not None:
        return _as_it_is(info, level, mpp_0, warnings)
    if mpp is None:
        raise UsageError("give the resolution with --mpp or --level")
    level_mpps = [mpp_0.side * item.downsample for item in info.levels]
    nearest = min(range(len(level_mpps)), key=lambda i: abs(level_mpps[i] / mpp - 1))
    if abs(level_mpps[nearest] / mpp - 1) <= LEVEL_TOLERANCE:
        return _as_it_is(info, nearest, mpp_0, warnings)
    finer = [i for i, value in enumerate(level_mpps) if value <= mpp]
    source = finer[-1] if finer else 0
    scale = mpp / level_mpps[source]
    if scale < 1:
        if scale * MAX_ENLARGEMENT < 1:
            raise SlideMetadataError(info.path, _too_coarse(level_mpps[0], mpp, override))
        warnings += (
            f"enlarged {1 / scale:.2f}×: the slide's finest px are {level_mpps[0]:.3g} µm, "
            f"the model wants {mpp:.3g} µm",
        )
    return Resolution(source, scale, mpp_0, Mpp(mpp, mpp), mpp_0.stretch, warnings)


def whole_px_resolution(
    info: SlideInfo, *, mpp: float, patch: int, override: float | None = None
) -> Resolution:
    """Level 0, at the scale that makes a patch a whole number of its px, as WSInfer does.

    That program takes ``round(patch × mpp / µm per px)``, of the mean of both axes, and does not
    make px square (``wsinfer.patchlib``, 0.6.1).

    Args:
        info: The slide.
        mpp: Wanted µm per analysis px.
        patch: Side of a patch in analysis px.
        override: µm per level-0 px to believe instead of the file.

    Raises:
        SlideMetadataError: the resolution is unknown or implausible, or a patch is no px.
    """
    mpp_0, warnings = slide_mpp(info, override)
    side = round(patch * mpp / mpp_0.mean)
    if side < 1 or side / patch * MAX_ENLARGEMENT < 1:
        raise SlideMetadataError(info.path, _too_coarse(mpp_0.mean, mpp, override))
    scale = side / patch
    return Resolution(0, scale, mpp_0, mpp_0.scaled(scale), NO_STRETCH, warnings)


def _as_it_is(info: SlideInfo, level: int, mpp_0: Mpp, warnings: tuple[str, ...]) -> Resolution:
    """A level whose px are only made square, where they are not."""
    actual = mpp_0.squared().scaled(info.levels[level].downsample)
    return Resolution(level, 1.0, mpp_0, actual, mpp_0.stretch, warnings)


def _too_coarse(finest: float, wanted: float, override: float | None) -> str:
    cause = (
        f"its finest px are {finest:.4g} µm, too coarse for a model that wants {wanted:.3g} µm; "
        f"choose a coarser model, or --mpp {finest:.4g} anyway"
    )
    if override is None:
        cause += "; if the file states it wrongly, give the true one with --slide-mpp"
    return cause


def _oddities(mpp: Mpp, objective: float | None) -> list[str]:
    warnings: list[str] = []
    low, high = USUAL_MPP
    if not low <= mpp.side <= high:
        warnings.append(f"unusual resolution: {mpp}")
    if not mpp.is_square:
        warnings.append(f"px are not square: {mpp}; resampled to square ones of {mpp.side:.4g} µm")
    usual = usual_mpp(objective)
    if usual is not None and not 0.5 <= mpp.side / usual <= 2:
        warnings.append(f"{mpp} does not fit the stated {objective:g}× objective")
    return warnings
