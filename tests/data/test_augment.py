import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from frankenstein.data.augment import (
    affine,
    centre_crop,
    crop_and_flip,
    random_affine,
    random_crop_and_flip,
    random_crop_and_turn,
    random_flip_and_crop,
)
from frankenstein.data.seeded import seeded


def cropped_and_flipped(images, generator):
    return random_crop_and_flip(images, 24, generator)


def cropped_and_turned(images, generator):
    return random_crop_and_turn(images, 24, generator)


AUGMENTATIONS = [random_affine, random_flip_and_crop, cropped_and_flipped, cropped_and_turned]


@pytest.fixture
def smooth():
    """Random uint8 images without sharp edges, (8, 3, 32, 32)."""
    return F.interpolate(torch.rand(8, 3, 6, 6) * 255, size=32, mode="bicubic").clamp(0, 255).byte()


def test_crop_and_flip_is_torchvisions_for_each_image(smooth):
    top, left = torch.arange(8), torch.arange(8).flip(0)
    mirrored = torch.arange(8) % 3 == 0
    ours = crop_and_flip(smooth, 25, top, left, mirrored)
    for i, image in enumerate(smooth):
        expected = tv.crop(image, int(top[i]), int(left[i]), 25, 25)
        expected = tv.hflip(expected) if mirrored[i] else expected
        assert torch.equal(ours[i], expected)


def test_a_padded_crop_has_zeros_where_there_was_no_image():
    images = torch.full((200, 1, 16, 16), 7, dtype=torch.uint8)
    moved = random_flip_and_crop(images, seeded(0))
    rows, columns = (moved == 7).any(3).sum(2), (moved == 7).any(2).sum(2)
    assert rows.unique().tolist() == columns.unique().tolist() == [14, 15, 16]
    assert torch.equal((moved == 7).flatten(1).sum(1), (rows * columns).flatten())


@pytest.mark.parametrize("size", [32, 31, 25, 24, 1])
def test_centre_crop_is_torchvisions(smooth, size):
    assert torch.equal(centre_crop(smooth, size), tv.center_crop(smooth, [size]))


def test_random_windows_lie_anywhere_in_the_image_and_nowhere_else():
    places = torch.arange(1, 65).view(1, 1, 8, 8).expand(2000, 1, 8, 8).to(torch.uint8)
    windows = random_crop_and_flip(places, 6, seeded(0))
    mirrored = windows[:, 0, 0, 0] > windows[:, 0, 0, -1]
    corners = torch.where(mirrored, windows[:, 0, 0, -1], windows[:, 0, 0, 0]) - 1
    assert corners.unique().tolist() == [
        8 * row + column for row in range(3) for column in range(3)
    ]
    assert 0.45 < mirrored.float().mean() < 0.55


def test_windows_are_turned_by_up_to_ten_degrees_and_not_mirrored():
    images = torch.zeros(500, 1, 40, 40, dtype=torch.uint8)
    images[:, :, :, 20:] = 255  # an upright edge
    edges = (random_crop_and_turn(images, 32, seeded(0)) > 127).float()[:, 0]
    slant = (edges[:, 6].sum(1) - edges[:, 25].sum(1)) / 19
    assert slant.abs().max() <= 0.24  # the tangent of ten degrees is 0.18; a pixel is 0.05
    assert slant.max() > 0.14
    assert slant.min() < -0.14
    assert (edges[:, :, -1].mean(1) > edges[:, :, 0].mean(1)).all()


def test_affine_is_torchvisions_for_each_image(smooth):
    angle, shear = torch.linspace(-5, 5, 8), torch.tensor([3.0, -5, 0, 5, 1, -2, 4, 0])
    scale = torch.linspace(1.1, 0.9, 8)
    ours = affine(smooth, angle, scale, shear)
    for i, image in enumerate(smooth.float()):
        # Dr. Frankenstein's Pad(4, edge), affine, CenterCrop: the padding hides the black outside.
        expected = tv.affine(
            tv.pad(image, [8], padding_mode="edge"),
            angle=angle[i].item(),
            translate=[0, 0],
            scale=scale[i].item(),
            shear=[shear[i].item(), 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(ours[i], tv.center_crop(expected, [32, 32]), atol=0.02, rtol=0)


def test_affine_by_nothing_changes_nothing(smooth):
    one, zero = torch.ones(8), torch.zeros(8)
    torch.testing.assert_close(affine(smooth, zero, one, zero), smooth.float(), atol=0.01, rtol=0)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_the_same_generator_gives_the_same_bits_and_another_gives_others(augment, smooth):
    assert torch.equal(augment(smooth, seeded(1, 2)), augment(smooth, seeded(1, 2)))
    assert not torch.equal(augment(smooth, seeded(1, 2)), augment(smooth, seeded(1, 3)))


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_every_image_of_a_batch_is_changed_in_its_own_way(augment, smooth):
    copies = smooth[:1].expand(8, -1, -1, -1)
    assert len(augment(copies, seeded(0)).unique(dim=0)) == 8


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_augmenting_changes_neither_its_input_nor_the_global_generator(augment, smooth):
    images, state = smooth.clone(), torch.get_rng_state()
    augment(images, seeded(0))
    assert torch.equal(images, smooth)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_shape_and_range_stay(augment, smooth):
    augmented = augment(smooth, seeded(0))
    size = 24 if "cropped" in augment.__name__ else 32
    assert augmented.shape == (8, 3, size, size)
    assert augmented.min() >= -1e-3  # interpolation rounds
    assert augmented.max() <= 255 + 1e-3


def test_crops_reach_an_eighth_of_the_size_in_every_direction_and_half_are_mirrored():
    images = torch.zeros(2000, 1, 16, 16, dtype=torch.uint8)
    images[:, :, 8, 4] = 1
    places = random_flip_and_crop(images, seeded(0)).flatten(1).argmax(1)
    rows, columns = places // 16, places % 16
    assert rows.unique().tolist() == [6, 7, 8, 9, 10]
    assert columns.unique().tolist() == [2, 3, 4, 5, 6, 9, 10, 11, 12, 13]
    assert 0.45 < (columns > 8).float().mean() < 0.55
