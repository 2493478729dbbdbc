"""Several kinds of tissue on one slide: what is asked for, what is drawn, what the truth says."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import contains_xy
from shapely.geometry import Polygon, box, shape

from wsi_pipeline.annotation.asap import read_asap
from wsi_pipeline.cohort.search import search
from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.run.inputs import expand
from wsi_pipeline.synth import (
    CLASSES,
    KINDS,
    Plant,
    SynthSlide,
    SynthSpec,
    labelled_patches,
    parse_plants,
    write_slide,
)
from wsi_pipeline.synth.anatomy import make_anatomy
from wsi_pipeline.synth.outlines import rasterise, rings, without_holes
from wsi_pipeline.synth.scene import make_scene

PINNED = [
    [225, 199, 182, 186, 237, 238],
    [216, 124, 118, 122, 224, 238],
    [220, 121, 115, 116, 212, 238],
    [233, 149, 122, 122, 211, 238],
    [238, 238, 168, 214, 238, 238],
]
GROUPS = {"Tumor": 1, "Necrosis": 2, "Mucin": 3}
#: Necrosis lies in tumour, mucin in necrosis and over a corner of both: two kinds have holes.
NESTED = SynthSpec(
    Size(1024, 768),
    seed=4,
    tumour=(Region(0, 200, 200, 400, 300),),
    plants=(
        Plant("necrosis", (Region(0, 300, 280, 120, 100), Region(0, 220, 420, 40, 32))),
        Plant("mucin", (Region(0, 360, 340, 300, 240), Region(0, 316, 300, 20, 24))),
    ),
    levels=4,
    tile=256,
)


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> SynthSlide:
    return write_slide(NESTED, tmp_path_factory.mktemp("planted") / "nested.tiff")


def level(path: Path | None, number: int) -> npt.NDArray[np.uint8]:
    assert path is not None
    with tifffile.TiffFile(path) as tiff:
        return np.asarray(tiff.pages[number].asarray())


def nested_truth() -> npt.NDArray[np.uint8]:
    """The later one wins."""
    expected = np.zeros((768, 1024), np.uint8)
    for plant in NESTED.planted:
        assert isinstance(plant.where, tuple)
        for one in plant.where:
            expected[one.y : one.bottom, one.x : one.right] = CLASSES.index(plant.kind)
    return expected


def test_the_mask_has_the_later_of_two(nested: SynthSlide) -> None:
    expected = nested_truth()
    np.testing.assert_array_equal(level(nested.classes, 0), expected)
    counted = {kind: int((expected == CLASSES.index(kind)).sum()) for kind in KINDS}
    assert nested.kind_px == counted
    assert nested.tumour_px == counted["tumour"]
    assert nested.classes is not None
    with tifffile.TiffFile(nested.classes) as tiff:
        said = json.loads(tiff.pages.first.description)
    assert said == {"wsi_pipeline_classes": ["normal", "tumour", "necrosis", "mucin"]}


@pytest.mark.parametrize("number", range(4))
def test_both_masks_agree_at_every_level(nested: SynthSlide, number: int) -> None:
    classes = level(nested.classes, number)
    assert classes.shape == (768 >> number, 1024 >> number)
    np.testing.assert_array_equal(
        level(nested.mask, number) == 255, classes == CLASSES.index("tumour")
    )
    # All corners lie on multiples of 4: nothing is lost to level 2.
    if number <= 2:
        step = 1 << number
        np.testing.assert_array_equal(classes, nested_truth()[::step, ::step])


def test_the_annotations_name_every_kind(nested: SynthSlide) -> None:
    drawn = np.zeros((768, 1024), np.uint8)
    x, y = np.meshgrid(np.arange(1024) + 0.5, np.arange(768) + 0.5)
    shapes = read_asap(nested.annotations).shapes
    assert {one.group for one in shapes} == {*GROUPS, "Exclusion"}
    assert any(one.interiors for one in nested.planted["necrosis"])
    for one in shapes:
        inside = np.zeros(drawn.shape, bool)
        for ring in one.rings:
            inside ^= contains_xy(Polygon(ring), x, y)
        if one.group == "Exclusion":
            assert (drawn[inside] == GROUPS["Tumor"]).all()
            drawn[inside] = 0
        else:
            assert not drawn[inside].any()
            drawn[inside] = GROUPS[one.group]
    np.testing.assert_array_equal(drawn, nested_truth())
    named = {g.get("Name"): g.get("Color") for g in ET.parse(nested.annotations).iter("Group")}
    assert len(set(named.values())) == len(named) == 4


def test_json_has_every_kind_as_geojson(nested: SynthSlide) -> None:
    facts = json.loads(json.dumps(nested.to_json()))
    assert facts["class_mask"] == str(nested.classes)
    areas = dict.fromkeys(KINDS, 0.0)
    for feature in facts["planted"]["features"]:
        kind = feature["properties"]["classification"]["name"]
        areas[kind] += shape(feature["geometry"]).area
    assert areas == facts["kind_px"]


def test_masks_of_classes_are_no_slides(nested: SynthSlide) -> None:
    folder = nested.path.parent
    assert [entry.path for entry in expand([str(folder)]).slides] == [nested.path]
    found = {one.path.name: one.kind for one in search(folder).files}
    assert found == {"nested.tiff": "slide", "nested_mask.tiff": "mask", "nested.xml": "asap"}


def test_files_of_a_slide_replace_all_of_the_one_before(tmp_path: Path) -> None:
    small = replace(NESTED, size=Size(700, 600), levels=None)
    first = write_slide(small, tmp_path / "s.tiff")
    assert first.classes is not None
    first.path.unlink()
    with pytest.raises(UsageError, match=r"s_classes_mask\.tiff already exists"):
        write_slide(replace(small, plants=()), first.path)
    second = write_slide(replace(small, plants=()), first.path, overwrite=True)
    assert second.classes is None
    assert not first.classes.exists()


def test_what_is_planted_differs_by_eye(nested: SynthSlide) -> None:
    """Colour: necrosis is the reddest, mucin the palest, tumour the bluest of the dark ones."""
    image, classes = level(nested.path, 0).astype(float), level(nested.classes, 0)
    red, green, blue = np.array([image[classes == index].mean(axis=0) for index in (1, 2, 3)]).T
    assert (red - blue).argmax() == 1
    assert (red - blue)[1] > 20
    assert green.argmax() == 2
    luminance = image[classes == 3] @ [0.2125, 0.7154, 0.0721] / 255
    assert (luminance <= 0.8).mean() > 0.99  # the tissue rule: mucin is no glass


def rectangles() -> st.SearchStrategy[tuple[Region, ...]]:
    side, place = st.integers(1, 120), st.integers(0, 180)
    one = st.builds(lambda x, y, w, h: Region(0, x, y, w, h), place, place, side, side)
    return st.lists(one, max_size=3).map(tuple)


@given(rectangles(), rectangles(), rectangles(), st.permutations(("necrosis", "mucin")))
@settings(max_examples=40)
def test_kinds_never_overlap_and_the_later_wins(
    tumour: tuple[Region, ...],
    first: tuple[Region, ...],
    second: tuple[Region, ...],
    order: list[str],
) -> None:
    plants = tuple(Plant(kind, where) for kind, where in zip(order, (first, second), strict=True))
    spec = SynthSpec(Size(300, 300), tumour=tumour, plants=plants)
    expected = np.zeros((300, 300), np.uint8)
    for plant in spec.planted:
        assert isinstance(plant.where, tuple)
        for one in plant.where:
            expected[one.y : one.bottom, one.x : one.right] = CLASSES.index(plant.kind)
    drawn = np.zeros((300, 300), np.uint8)
    for kind, shapes in make_anatomy(spec).planted.items():
        inside = rasterise(rings(shapes), 0, 0, 300, 300) > 0
        assert not drawn[inside].any()
        drawn[inside] = CLASSES.index(kind)
        parts = [part for one in shapes for part in without_holes(one)]
        assert not any(part.interiors for part in parts)
        again = rasterise(rings(parts), 0, 0, 300, 300) > 0
        np.testing.assert_array_equal(again, inside)
    np.testing.assert_array_equal(drawn, expected)


def test_a_hole_narrower_than_a_pixel_is_cut() -> None:
    thin = Polygon(box(0, 0, 10, 10).exterior, [box(3.2, 1, 3.7, 9).exterior])
    parts = without_holes(thin)
    assert not any(part.interiors for part in parts)
    assert sum(part.area for part in parts) == pytest.approx(thin.area, abs=0.1)


@given(st.integers(0, 2**31))
@settings(max_examples=3)
def test_shares_of_kinds_are_kept(seed: int) -> None:
    spec = SynthSpec(
        Size(4000, 3500),
        seed=seed,
        tumour=0.1,
        plants=(Plant("necrosis", 0.08), Plant("mucin", 0.06)),
    )
    anatomy = make_anatomy(spec)
    areas = {kind: sum(one.area for one in some) for kind, some in anatomy.planted.items()}
    tissue = 0.35 * spec.size.area
    # The last is whole; the others lose what later ones cover where the tissue is full.
    assert areas["mucin"] / tissue == pytest.approx(0.06, rel=0.15)
    assert 0.3 * 0.08 < areas["necrosis"] / tissue < 1.15 * 0.08
    assert 0.3 * 0.10 < areas["tumour"] / tissue < 1.15 * 0.10
    alone = make_anatomy(replace(spec, plants=()))
    tumour, cut = alone.planted["tumour"], anatomy.planted["tumour"]
    assert sum(one.area for one in cut) <= sum(one.area for one in tumour) + 1


def test_slides_of_tumour_alone_are_drawn_as_ever(tmp_path: Path) -> None:
    """Pinned before there were further kinds.

    Green is a mean of each 100 × 100 px, to one step: other processors round otherwise.
    """
    spec = SynthSpec(Size(600, 500), seed=7, tumour=(Region(0, 150, 130, 200, 180),), levels=2)
    slide = write_slide(spec, tmp_path / "s.tiff")
    assert sha256(slide.mask.read_bytes()).hexdigest()[:16] == "de36034810c954b2"
    assert sha256(slide.annotations.read_bytes()).hexdigest()[:16] == "b9fd4a1362359a94"
    green = make_scene(spec).render(0, 0, 600, 500).image[..., 1]
    means = green.reshape(5, 100, 6, 100).mean(axis=(1, 3))
    np.testing.assert_allclose(means, PINNED, atol=1)


def test_plants_are_read() -> None:
    one, two = Region(0, 1, 2, 3, 4), Region(0, 5, 6, 7, 8)
    assert parse_plants([]) == ()
    assert parse_plants(["Mucin:10%", "necrosis:rect:1,2,3,4;5,6,7,8"]) == (
        Plant("mucin", 0.1),
        Plant("necrosis", (one, two)),
    )
    apart = ["necrosis:rect:1,2,3,4", "tumour:none", "necrosis:rect:5,6,7,8"]
    assert parse_plants(apart) == (Plant("necrosis", (one, two)), Plant("tumour", 0.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bone:0.1", "tumour, necrosis, mucin"),
        ("0.1", "write KIND:SHARE"),
        ("necrosis", "takes one share"),
        ("necrosis:much", "--plant 'necrosis:much'"),
        ("mucin:rect:1,2,3", "mucin:rect:X,Y,WIDTH,HEIGHT"),
        ("mucin:2", "between 0 and 0.95"),
    ],
)
def test_what_is_no_plant_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_plants([text])


@pytest.mark.parametrize(
    ("plants", "message"),
    [
        ((Plant("tumour", 0.1),), "tumour: planted more than once"),
        ((Plant("mucin", 0.1), Plant("mucin", 0.2)), "mucin: planted more than once"),
        ((Plant("mucin", 0.5), Plant("necrosis", 0.4)), "together must be 0-0.95, not 1.02"),
        ((Plant("mucin", (Region(0, 19_990, 0, 11, 10),)),), "the mucin rectangle .* move it"),
    ],
)
def test_plants_that_do_not_fit_are_refused(plants: tuple[Plant, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SynthSpec(plants=plants)


def test_a_kind_that_others_cover_is_refused() -> None:
    where = (Region(0, 200, 200, 60, 60),)
    spec = SynthSpec(Size(600, 500), tumour=where, plants=(Plant("mucin", where),))
    with pytest.raises(UsageError, match="tumour is covered"):
        make_scene(spec)


def test_patches_come_with_the_index_of_their_class() -> None:
    patches, labels = labelled_patches(2, seed=2, patch_px=64, mpp=1.0, slide_px=4096)
    assert patches.shape == (8, 64, 64, 3)
    np.testing.assert_array_equal(labels, [0, 0, 1, 1, 2, 2, 3, 3])
    red, green, blue = patches[labels == CLASSES.index("necrosis")].mean(axis=(0, 1, 2))
    assert red > blue > green
    again, _ = labelled_patches(2, seed=2, patch_px=64, mpp=1.0, slide_px=4096)
    np.testing.assert_array_equal(again, patches)


def test_patches_of_a_kind_need_room() -> None:
    with pytest.raises(UsageError, match="no normal patch of 4096 level-0 px"):
        labelled_patches(1, seed=2, patch_px=1024, mpp=1.0, slide_px=4096)
