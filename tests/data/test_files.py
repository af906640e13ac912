import pickle
import threading

import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from frankenstein.data.ahead import ahead
from frankenstein.data.augment import centre_crop
from frankenstein.data.batches import Batches, in_order
from frankenstein.data.errors import DataError
from frankenstein.data.files import ImageFiles, central_square, squashed

SIZES = [(20, 31), (31, 20), (24, 24), (23, 24), (7, 9), (100, 17)]  # width, height


def draw(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (size[1], size[0], 3), dtype=torch.uint8, generator=generator)
    return Image.fromarray(pixels.numpy())


def bilinear(image):
    return central_square(image, 20, 16, Image.Resampling.BILINEAR)


@pytest.fixture
def files(tmp_path):
    """Makes a folder of PNG images of many sizes, and what is seen of them."""

    def make(count):
        names = [f"{i}.png" for i in range(count)]
        for i, name in enumerate(names):
            draw(SIZES[i % len(SIZES)], seed=i).save(tmp_path / name)
        return ImageFiles(tmp_path, names, bilinear)

    return make


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("resize", "crop"), [(16, 13), (19, 16), (20, 16), (17, 16), (16, 16)])
@pytest.mark.parametrize("how", ["BILINEAR", "BICUBIC"])
def test_the_centre_of_a_square_is_torchvisions_to_the_pixel(size, resize, crop, how):
    image = draw(size)
    square = central_square(image, resize, crop, Image.Resampling[how])
    assert square.size == (resize, resize)
    expected = tv.center_crop(tv.resize(image, [resize], InterpolationMode[how]), [crop])
    ours = centre_crop(tv.pil_to_tensor(square)[None], crop)[0]
    assert torch.equal(ours, tv.pil_to_tensor(expected))


def test_a_squashed_image_is_torchvisions_resize_of_both_sides():
    image = draw((20, 31))
    expected = tv.pil_to_tensor(tv.resize(image, [16, 16]))
    assert torch.equal(tv.pil_to_tensor(squashed(image, 16)), expected)


def test_rows_come_as_uint8_in_the_order_asked_for(files):
    images = files(6)
    assert len(images) == 6
    batch = images[torch.tensor([4, 1, 4])]
    assert batch.shape == (3, 3, 20, 20)
    assert batch.dtype == torch.uint8
    assert batch.is_contiguous()
    for image, row in zip(batch, (4, 1, 4), strict=True):
        assert torch.equal(image, tv.pil_to_tensor(bilinear(draw(SIZES[row], seed=row))))
    assert torch.equal(images[2:4], images[torch.tensor([2, 3])])
    assert images[torch.tensor([5])].shape == (1, 3, 20, 20)


def test_what_is_held_is_a_name_for_each_image_and_no_pixel(files):
    images = files(60)
    for _, _ in Batches(images, torch.arange(60), in_order(60, 20)):
        pass
    assert len(pickle.dumps(images)) < 1000 + 60 * 20


def test_grey_transparent_and_palette_images_become_colour(tmp_path):
    for mode in ("L", "RGBA", "P", "1", "CMYK"):
        image = draw((20, 20)).convert(mode)
        image.save(tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    images = ImageFiles(tmp_path, sorted(path.name for path in tmp_path.iterdir()), bilinear)
    assert images[:].shape == (5, 3, 20, 20)


@pytest.mark.parametrize("content", [None, b"", b"not an image", "cut"])
def test_a_file_that_is_no_image_is_named_in_one_line(files, tmp_path, content):
    images = files(3)
    path = tmp_path / "1.png"
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[: len(whole) // 2] if content == "cut" else content)
    with pytest.raises(DataError, match=r"1\.png cannot be read \(.*\); get it anew") as caught:
        images[:]
    assert "\n" not in str(caught.value)


def test_batches_of_files_are_those_of_the_same_images_in_memory(files):
    images = files(10)
    whole = Batches(images[:], torch.arange(10), in_order(10, 4))
    for (ours, numbers), (theirs, expected) in zip(
        Batches(images, torch.arange(10), in_order(10, 4)), whole, strict=True
    ):
        assert torch.equal(ours, theirs)
        assert torch.equal(numbers, expected)


def test_one_batch_is_read_ahead_and_no_more():
    asked, threads = [], threading.active_count()

    def items():
        for i in range(5):
            asked.append(i)
            yield i

    ready = ahead(items())
    assert asked == []  # not before the first is asked for
    assert next(ready) == 0
    ready.close()
    assert asked == [0, 1]
    assert threading.active_count() == threads


def test_an_error_of_a_batch_read_ahead_comes_with_that_batch(files, tmp_path):
    images = files(6)
    (tmp_path / "3.png").unlink()
    batches = iter(Batches(images, torch.arange(6), in_order(6, 2)))
    next(batches)
    with pytest.raises(DataError, match=r"3\.png cannot be read"):
        next(batches)


def test_a_state_taken_while_the_next_batch_is_read_ahead_goes_on_with_it(files):
    images = files(6)
    loader = Batches(images, torch.arange(6), in_order(6, 2))
    iterator = iter(loader)
    next(iterator)
    resumed = Batches(images, torch.arange(6), in_order(6, 2))
    resumed.load_state_dict(loader.state_dict())
    assert [labels.tolist() for _, labels in resumed] == [[2, 3], [4, 5]]
