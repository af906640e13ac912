import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from frankenstein.data.augment import affine, flip_and_crop, random_affine, random_flip_and_crop
from frankenstein.data.seeded import seeded

AUGMENTATIONS = [random_affine, random_flip_and_crop]


@pytest.fixture
def smooth():
    """Random uint8 images without sharp edges, (8, 3, 32, 32)."""
    return F.interpolate(torch.rand(8, 3, 6, 6) * 255, size=32, mode="bicubic").clamp(0, 255).byte()


def test_flip_and_crop_is_torchvisions_for_each_image(smooth):
    top, left = torch.arange(8), torch.arange(8).flip(0)
    mirrored = torch.arange(8) % 3 == 0
    ours = flip_and_crop(smooth, top, left, mirrored, padding=4)
    for i, image in enumerate(smooth):
        expected = tv.crop(tv.pad(image, [4]), int(top[i]), int(left[i]), 32, 32)
        expected = tv.hflip(expected) if mirrored[i] else expected
        assert torch.equal(ours[i], expected)


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
    assert augmented.shape == smooth.shape
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
