"""How representations lie, and that laying one like another is what it says."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import SwinTransformer

from frankenstein.shapes import ShapeError
from frankenstein.surgery import Cut, Layout, cut, cut_points, layout_of
from frankenstein.surgery.layouts import alignment, flattened, is_channels_last, laid

N = 3
# One example's shape, and what it is. Swin's maps come channels-first out of `laid`.
LAYOUTS = {
    "map": ((5, 6, 4), Layout("map", 5, (6, 4))),
    "square map": ((5, 6, 6), Layout("map", 5, (6, 6))),
    "cube": ((6, 6, 6), Layout("map", 6, (6, 6))),
    "map of one place": ((512, 1, 1), Layout("map", 512, (1, 1))),
    "Swin's map": ((7, 7, 96), Layout("map", 96, (7, 7))),
    "Swin's map of one place": ((1, 1, 64), Layout("map", 64, (1, 1))),
    "patches": ((16, 8), Layout("tokens", 8, (4, 4))),
    "patches and class token": ((197, 768), Layout("tokens", 768, (14, 14), 1)),
    "four patches and class token": ((5, 8), Layout("tokens", 8, (2, 2), 1)),
    "one token": ((1, 8), Layout("tokens", 8, (1, 1))),
    "a line of tokens": ((12, 8), Layout("tokens", 8, (1, 12))),
    "vector": ((10,), Layout("vector", 10, ())),
}


def lay(z, source, target):
    """z, of one layout, laid like another; shapes of one example."""
    return alignment(layout_of(source), layout_of(target))[0](z)


def resized(z, grid):
    return functional.interpolate(z, grid, mode="bilinear", antialias=True)


def as_map(patches, side):
    """(N, T, C) to (N, C, H, W)."""
    return patches.reshape(len(patches), side, side, -1).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def swin():
    torch.manual_seed(0)
    network = SwinTransformer([4, 4], 16, [1, 1], [2, 2], [2, 2], num_classes=10).eval()
    network.input_shape = (3, 32, 32)
    return network


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout_of_a_shape(name):
    shape, layout = LAYOUTS[name]
    assert layout_of(shape) == layout
    assert is_channels_last(shape) == name.startswith("Swin")


@pytest.mark.parametrize("shape", [(), (3, 4, 5, 6)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match="a map, tokens or a vector, got shape"):
        layout_of(shape)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_lies_alike_is_left_alone(name):
    layout = LAYOUTS[name][1]
    wider = layout._replace(units=layout.units + 1)
    align, said = alignment(layout, wider)
    z = torch.randn(N, *LAYOUTS[name][0])
    assert align(z) is z
    assert said is None


@pytest.mark.parametrize("target", LAYOUTS)
@pytest.mark.parametrize("source", LAYOUTS)
def test_the_source_is_laid_like_the_target_and_keeps_its_units(source, target):
    (_, a), (_, b) = LAYOUTS[source], LAYOUTS[target]
    if a.kind == "vector" != b.kind:
        return
    shapes = {
        "map": lambda units, like: (N, units, *like.grid),
        "tokens": lambda units, like: (N, like.grid[0] * like.grid[1] + like.extra, units),
        "vector": lambda units, like: (N, units),
    }
    align, _ = alignment(a, b)
    laid = align(torch.ones(shapes[a.kind](a.units, a)))
    assert laid.shape == shapes[b.kind](a.units, b)
    # What is the same at every place stays so, however it is laid.
    torch.testing.assert_close(laid, torch.ones_like(laid))
    assert list(align.parameters()) == []


@pytest.mark.parametrize("grid", [(3, 3), (5, 8), (9, 3)])
def test_maps_are_resized_bilinearly_with_antialiasing(grid):
    z = torch.randn(N, 5, 6, 4)
    assert torch.equal(lay(z, (5, 6, 4), (7, *grid)), resized(z, grid))


@pytest.mark.parametrize("grid", [(12, 12), (6, 9), (9, 5)])
def test_a_map_that_is_widened_is_the_same_without_antialiasing(grid):
    z = torch.randn(N, 5, 6, 4, dtype=torch.float64)
    laid = lay(z, (5, 6, 4), (7, *grid))
    torch.testing.assert_close(laid, resized(z, grid), rtol=1e-12, atol=1e-12)


def test_a_map_of_one_place_takes_the_mean_over_places():
    z = torch.randn(N, 5, 6, 4)
    assert torch.equal(lay(z, (5, 6, 4), (7, 1, 1)), z.mean((2, 3), keepdim=True))


def test_tokens_to_tokens_keep_the_class_token_and_resize_the_patches():
    z = torch.randn(N, 17, 8)
    laid = lay(z, (17, 8), (65, 12))
    assert torch.equal(laid[:, 0], z[:, 0])
    torch.testing.assert_close(as_map(laid[:, 1:], 8), resized(as_map(z[:, 1:], 4), (8, 8)))


def test_a_class_token_that_only_the_target_has_is_the_mean_of_the_patches():
    z = torch.randn(N, 16, 8)
    laid = lay(z, (16, 8), (17, 8))
    assert torch.equal(laid[:, 1:], z)
    torch.testing.assert_close(laid[:, 0], z.mean(1))


def test_a_class_token_that_only_the_source_has_is_dropped():
    z = torch.randn(N, 17, 8)
    assert torch.equal(lay(z, (17, 8), (16, 8)), z[:, 1:])
    assert torch.equal(lay(z, (17, 8), (8, 4, 4)), as_map(z[:, 1:], 4))


@pytest.mark.parametrize("tokens", [16, 17])
def test_a_map_to_tokens_and_back_is_itself_where_the_grids_agree(tokens):
    z = torch.randn(N, 5, 4, 4)
    there = lay(z, (5, 4, 4), (tokens, 8))
    assert there.shape == (N, tokens, 5)
    assert torch.equal(there[:, -1], z[:, :, 3, 3])  # row by row
    assert torch.equal(there[:, tokens - 16 + 1], z[:, :, 0, 1])
    assert torch.equal(lay(there, (tokens, 5), (5, 4, 4)), z)


def test_patches_to_a_map_and_back_are_themselves():
    z = torch.randn(N, 16, 8)
    assert torch.equal(lay(lay(z, (16, 8), (8, 4, 4)), (8, 4, 4), (16, 8)), z)


def test_a_vector_takes_the_mean_over_places_and_no_class_token():
    z = torch.randn(N, 5, 6, 4)
    torch.testing.assert_close(lay(z, (5, 6, 4), (10,)), z.mean((2, 3)))
    z = torch.randn(N, 17, 8)
    torch.testing.assert_close(lay(z, (17, 8), (10,)), z[:, 1:].mean(1))


@pytest.mark.parametrize("target", [(5, 6, 4), (7, 7, 96), (17, 8)])
def test_a_vector_has_no_places_to_give(target):
    with pytest.raises(
        ShapeError, match=r"source is a vector and .* places \(.*; cut the receiver"
    ):
        alignment(layout_of((10,)), layout_of(target))


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ((5, 6, 4), (17, 8), "a map of 6 x 4, is laid like the target, tokens of 4 x 4 and a "),
        ((17, 8), (5, 6, 6), "tokens of 4 x 4 and a class token, is laid like the target, a map "),
        ((16, 8), (10,), "the source, tokens of 4 x 4, is laid like the target, a vector"),
    ],
)
def test_what_is_done_is_said_in_words(source, target, said):
    assert said in alignment(layout_of(source), layout_of(target))[1]


def test_halves_with_channels_first_compose_to_the_network_bit_for_bit(swin):
    images = torch.randn(N, 3, 32, 32)
    last = 0
    with torch.no_grad():
        expected = swin(images)
        for layer, shape in cut_points(swin).items():
            halves, layout = laid(cut(swin, after=layer), shape)
            representation = halves.front(images)
            assert torch.equal(halves.end(representation), expected)
            assert layout == layout_of(shape)
            if layout.kind == "map":
                assert representation.shape == (N, layout.units, *layout.grid)
            last += is_channels_last(shape)
    assert last > 5


def test_halves_with_channels_first_already_are_left_alone():
    halves = Cut(nn.Identity(), nn.Identity())
    for shape in ((5, 6, 6), (6, 6, 6), (17, 8), (10,)):
        assert laid(halves, shape) == (halves, layout_of(shape))


def test_flattened_halves_hand_over_the_same_numbers_bit_for_bit(swin):
    images = torch.randn(N, 3, 32, 32)
    with torch.no_grad():
        expected = swin(images)
        for layer, shape in cut_points(swin).items():
            halves, _ = laid(cut(swin, after=layer), shape)
            flat, layout = flattened(halves, layout_of(shape))
            representation = flat.front(images)
            assert layout == layout_of(representation.shape[1:])
            assert representation.shape == (N, torch.Size(shape).numel())
            handed_over = flattened(Cut(halves.front, nn.Identity()), layout_of(shape))[0]
            assert torch.equal(handed_over.end(representation), halves.front(images))
            # Their order in memory, which is that of sums over places, may be another.
            torch.testing.assert_close(flat.end(representation), expected, rtol=1e-5, atol=1e-6)


def test_flattening_keeps_tokens_and_leaves_vectors_alone():
    halves = Cut(nn.Identity(), nn.Identity())
    flat, layout = flattened(halves, layout_of((17, 8)))
    z = torch.randn(N, 17, 8)
    assert layout == Layout("vector", 17 * 8, ())
    assert torch.equal(flat.end(flat.front(z)), z)
    same, vector = flattened(halves, layout_of((10,)))
    assert same is halves
    assert vector == Layout("vector", 10, ())
