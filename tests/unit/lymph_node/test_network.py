import torch

from wsi_pipeline.lymph_node.features import new_trunk
from wsi_pipeline.lymph_node.network import (
    CELL_PX,
    PATCH_PX,
    PLACES,
    SEEN_PX,
    Head,
    LymphNodeNetwork,
    Trunk,
    inner,
)


def network() -> LymphNodeNetwork:
    torch.manual_seed(3)
    return LymphNodeNetwork(Trunk(), Head(8)).eval()


def test_a_map_has_a_logit_for_every_cell_and_none_at_the_border() -> None:
    with torch.inference_mode():
        logits = network()(torch.randn(2, 3, PATCH_PX, PATCH_PX))
    side = PATCH_PX // CELL_PX
    assert logits.shape == (2, 1, side, side)
    border = logits.clone()
    border[:, :, 1:-1, 1:-1] = 0
    assert not border.any()
    assert logits[:, :, 1:-1, 1:-1].all()


def test_the_surround_is_the_mean_of_the_eight_neighbours() -> None:
    features = torch.randn(2, Trunk.features, 3 * PLACES, 3 * PLACES)
    places, surround = inner(features)
    middle = features[:, :, PLACES : 2 * PLACES, PLACES : 2 * PLACES]
    assert torch.equal(places, middle)
    rest = (features.sum((2, 3)) - middle.sum((2, 3))) / (8 * PLACES**2)
    assert torch.allclose(surround[:, :, 0, 0], rest, atol=1e-5)


def test_each_cell_is_judged_by_its_own_places() -> None:
    """Moving all features by one cell moves the answers by one cell."""
    head = network().head
    places, surround = torch.randn(1, Trunk.features, 12, 12), torch.randn(1, Trunk.features, 3, 3)
    with torch.inference_mode():
        whole = head(places, surround)
        alone = head(places[:, :, 4:8, 8:12], surround[:, :, 1:2, 2:3])
    assert torch.allclose(whole[0, 0, 1, 2], alone[0, 0, 0, 0], atol=1e-5)


def test_features_lie_where_their_pixels_do() -> None:
    """What changes in one corner of a patch changes features there the most, at every stage."""
    trunk = new_trunk()
    patch = torch.zeros(1, 3, SEEN_PX, SEEN_PX)
    changed = patch.clone()
    changed[:, :, :CELL_PX, -CELL_PX:] = 1.0
    with torch.inference_mode():
        difference = (trunk(changed) - trunk(patch)).abs()
    begin = 0
    for channels in Trunk.stages.values():
        found = difference[0, begin : begin + channels].sum(0)
        cells = torch.nn.functional.avg_pool2d(found[None], PLACES)[0]
        assert int(cells.argmax()) == 2
        begin += channels
