import io
import os
import pickle
import random
import resource
import threading

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from frankenstein.data.augment import centre_crop
from frankenstein.data.batches import Batches, in_order, prefetch
from frankenstein.data.files import ImageFiles, central_square, read_image, squashed
from frankenstein.errors import DataError

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

    ready = prefetch(items())
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


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """Where verified files are remembered: nothing yet."""
    monkeypatch.setenv("FRANKENSTEIN_CACHE", str(tmp_path / "memory"))
    return tmp_path / "memory"


@pytest.fixture
def opened(at):
    """The paths of image files as they are opened: for its checksums first, then for its pixels."""
    return at("open .png")


def names_of(paths):
    return sorted({os.path.basename(path) for path in paths})


def again(images):
    return ImageFiles(images.folder, images.names, images.view)


def test_a_verified_file_is_not_read_again_until_it_changes(files, tmp_path, memory, opened):
    images = files(9)
    opened.clear()
    assert images.unreadable() == again(images).unreadable() == images.unreadable() == []
    assert sorted(opened) == sorted(2 * [str(tmp_path / name) for name in images.names])
    draw((5, 5)).save(tmp_path / "3.png")  # of another size
    facts = os.stat(tmp_path / "7.png")
    os.utime(tmp_path / "7.png", ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    opened.clear()
    assert again(images).unreadable() == []
    assert names_of(opened) == ["3.png", "7.png"]


def test_all_that_cannot_be_read_is_told_and_read_again_each_time(files, tmp_path, memory, opened):
    images, whole = files(9), (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[:-20])
    (tmp_path / "2.png").write_bytes(b"")
    (tmp_path / "3.png").write_text("<html>404</html>")
    (tmp_path / "4.png").unlink()
    bad = [f"{number}.png" for number in (1, 2, 3, 4)]
    for read in (sorted(images.names), bad):
        opened.clear()
        told = again(images).unreadable()
        assert [text.partition(" (")[0] for text in told] == [str(tmp_path / name) for name in bad]
        assert all("\n" not in text and text.endswith(")") for text in told)
        assert names_of(opened) == [name for name in read if name != "4.png"]  # it is not there
    draw((9, 9)).save(tmp_path / "4.png")
    assert len(again(images).unreadable()) == 3


def test_what_was_read_before_an_interruption_is_remembered(files, memory, opened, tmp_path):
    images, said = files(600), []
    opened.clear()

    def interrupted(parts, name):
        said.append((len(parts), name))
        yield from parts[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.unreadable(interrupted)
    assert again(images).unreadable() == []
    assert sorted(opened) == sorted(2 * [str(tmp_path / name) for name in images.names])
    assert said == [(3, "reading each new image once")]


@pytest.mark.parametrize("harm", ["damaged", "a file in its way"])
def test_without_a_memory_files_are_read_again(files, memory, opened, harm):
    images = files(3)
    if harm == "damaged":
        images.unreadable()
        (path,) = memory.iterdir()
        path.write_bytes(path.read_bytes()[1:])
    else:
        memory.write_text("")
    opened.clear()
    assert again(images).unreadable() == []
    assert len(names_of(opened)) == 3


def test_whatever_a_decoder_raises_is_told_with_the_file(files, memory, monkeypatch):
    class Broken(ImageFile.ImageFile):
        def _open(self):
            self._size, self._mode = (4, 4), "RGB"

        def load(self):
            raise TypeError("NoneType has no\nsize")  # as PIL of some damaged TIFFs

    images = files(1)
    monkeypatch.setitem(Image.OPEN, "BMP", (Broken, lambda start: start == b"broken"))
    (images.folder / "0.png").write_text("broken")
    assert images.unreadable() == [f"{images.folder / '0.png'} (NoneType has no size)"]
    with pytest.raises(DataError, match=r"0\.png cannot be read \(NoneType has no size\); get"):
        images[:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_no_damage_that_reading_would_meet_is_left_for_the_run(tmp_path, memory, kind):
    stream = io.BytesIO()
    draw((40, 30)).resize((160, 120), Image.Resampling.BICUBIC).save(stream, kind)
    whole, chance = stream.getvalue(), random.Random(0)
    for number in range(320):
        content, place = bytearray(whole), chance.randrange(len(whole))
        content[place] ^= 1 << chance.randrange(8)
        (tmp_path / f"{number:03}").write_bytes(content if number < 300 else whole[:place])
    images = ImageFiles(tmp_path, [f"{number:03}" for number in range(320)], bilinear)
    told = {text.partition(" (")[0][-3:] for text in images.unreadable()}
    assert told.issuperset(f"{number:03}" for number in range(300, 320))  # cut short
    if kind == "PNG":  # has checksums
        assert len(told) == 320
    for number in range(320):
        if f"{number:03}" not in told:
            assert images[number : number + 1].shape == (1, 3, 20, 20)


LEVELS = [[0, 257, 32768], [65535, 128, 129]]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm", "big.tif"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, name):
    levels = np.array(LEVELS, dtype=">u2" if name == "big.tif" else np.uint16)
    if name == "a.pgm":
        (tmp_path / name).write_bytes(b"P5 3 2 65535\n" + levels.astype(">u2").tobytes())
    elif name == "big.tif":
        Image.frombytes("I;16B", (3, 2), levels.tobytes()).save(tmp_path / name)
    else:
        Image.fromarray(levels).save(tmp_path / name)
    seen = np.asarray(read_image(tmp_path / name))
    assert (seen == np.array([[0, 1, 128], [255, 0, 1]])[:, :, None]).all()


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_that_have_no_white_are_refused_and_counted(tmp_path, memory, kind):
    for number in range(3):
        Image.fromarray(np.full((4, 4), 0.5 + number).astype(kind)).save(tmp_path / f"{number}.tif")
    draw((9, 9)).save(tmp_path / "3.png")
    images = ImageFiles(tmp_path, [f"{number}.tif" for number in range(3)] + ["3.png"], bilinear)
    told = images.unreadable()
    assert len(told) == 3
    assert all("have no white; save it with 8 or 16 bits)" in text for text in told)
    with pytest.raises(DataError, match=r"0\.tif cannot be read \(pixels of . have no white"):
        images[:]


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photograph_stands_upright_as_its_camera_says(tmp_path, turn):
    image, exif = draw((20, 31)), Image.Exif()
    exif[0x0112] = turn
    image.save(tmp_path / "a.png", exif=exif)
    seen = read_image(tmp_path / "a.png")
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    assert seen.size == expected.size
    assert np.array_equal(np.asarray(seen), np.asarray(expected))


def test_what_is_damaged_of_exif_says_nothing_of_the_pixels(tmp_path):
    draw((20, 31)).save(tmp_path / "a.jpg", exif=b"Exif\0\0nothing of the kind")
    assert read_image(tmp_path / "a.jpg").size == (20, 31)


@pytest.mark.parametrize("size", [(2, 90), (90, 2), (3, 100), (1, 41), (700, 30)])
@pytest.mark.parametrize("how", ["BILINEAR", "BICUBIC"])
def test_a_thin_image_is_seen_as_if_all_of_it_had_been_resized(size, how):
    image = draw(size)
    square = tv.pil_to_tensor(central_square(image, 20, 16, Image.Resampling[how]))
    whole = tv.resize(image, [20], InterpolationMode[how])
    assert torch.equal(square, tv.pil_to_tensor(tv.center_crop(whole, [20])))


def test_a_line_of_pixels_takes_no_gigabytes():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    square = central_square(Image.new("RGB", (1, 6000), "red"), 256, 224, Image.Resampling.BILINEAR)
    assert square.getcolors() == [(256 * 256, (255, 0, 0))]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_pipe_that_is_called_an_image_is_not_waited_for(tmp_path, memory):
    os.mkfifo(tmp_path / "pipe.png")
    (text,) = ImageFiles(tmp_path, ["pipe.png"], bilinear).unreadable()
    assert text == f"{tmp_path / 'pipe.png'} (it is no file)"


def test_a_palette_of_which_some_colours_are_transparent_is_seen_without_a_warning(tmp_path):
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("P")
    image.save(tmp_path / "a.png", transparency=bytes(range(256)))
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png")), image.convert("RGB"))


def test_a_program_in_postscript_is_no_image_whatever_its_name(tmp_path):
    draw((9, 9)).save(tmp_path / "a.png", "EPS")
    with pytest.raises(OSError, match="cannot identify image file"):
        read_image(tmp_path / "a.png")
