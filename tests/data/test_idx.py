import gzip
import hashlib
import random
from urllib.request import urlretrieve

import pytest
import torch
import torchvision

from frankenstein.data import MNIST, DataError, Fashion
from frankenstein.data.idx import read_idx


def idx(tensor):
    sizes = b"".join(size.to_bytes(4, "big") for size in tensor.shape)
    return bytes([0, 0, 8, tensor.ndim]) + sizes + tensor.byte().numpy().tobytes()


@pytest.fixture
def files():
    """Content of the four files by the name of its archive."""
    content = {}
    for part, size in (("train", 30), ("t10k", 12)):
        content[f"{part}-images-idx3-ubyte.gz"] = idx(torch.randint(256, (size, 28, 28)))
        content[f"{part}-labels-idx1-ubyte.gz"] = idx(torch.arange(size) % 10)
    return content


@pytest.fixture
def raw(tmp_path, files):
    """A folder as torchvision leaves it for Fashion-MNIST, archives only."""
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(gzip.compress(content))
    return folder


@pytest.fixture(autouse=True)
def mirror(monkeypatch, tmp_path):
    """The only place there is to download from: a folder that does not exist yet."""
    # torchvision's own asks a server for the length, which a file:// address has not.
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", urlretrieve)
    for source in (torchvision.datasets.MNIST, torchvision.datasets.FashionMNIST):
        monkeypatch.setattr(source, "mirrors", [f"{(tmp_path / 'mirror').as_uri()}/"])
    return tmp_path / "mirror"


def test_archives_are_read_where_they_are_and_nothing_is_written(tmp_path, raw, files):
    data = Fashion(data_root=tmp_path)
    data.setup()
    assert data.train_images.shape == (30, 1, 28, 28)
    assert data.val_images.flatten().tolist() == list(files["t10k-images-idx3-ubyte.gz"][16:])
    assert data.val_labels.tolist() == [*range(10), 0, 1]
    assert sorted(path.name for path in raw.iterdir()) == sorted(files)


def test_unpacked_files_do_as_well(tmp_path, raw, files):
    packed, unpacked = Fashion(data_root=tmp_path), Fashion(data_root=tmp_path)
    packed.setup()
    for name, content in files.items():
        (raw / name).unlink()
        (raw / name.removesuffix(".gz")).write_bytes(content)
    unpacked.setup()
    assert torch.equal(packed.train_images, unpacked.train_images)


def test_a_half_unpacked_file_beside_a_whole_archive_is_not_used(tmp_path, raw, files):
    name = "train-images-idx3-ubyte"
    (raw / name).write_bytes(files[f"{name}.gz"][:100])
    Fashion(data_root=tmp_path).setup()


def test_absent_archives_are_downloaded_whole(tmp_path, raw, files, mirror, monkeypatch):
    raw.rename(mirror)
    resources = [
        (name, hashlib.md5((mirror / name).read_bytes()).hexdigest()) for name in sorted(files)
    ]
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "resources", resources)
    Fashion(data_root=tmp_path).setup()
    assert sorted(path.name for path in raw.iterdir()) == sorted(files)


def test_a_download_with_a_wrong_checksum_is_not_kept(tmp_path, raw, mirror):
    raw.rename(mirror)  # these are not the files whose md5 torchvision knows
    with pytest.raises(DataError, match=r"no download .*corrupted"):
        Fashion(data_root=tmp_path).setup()
    assert list(raw.iterdir()) == []


def test_absent_archives_are_named_in_one_line(tmp_path, raw):
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError) as caught:
        Fashion(data_root=tmp_path).setup()
    text = str(caught.value)
    assert text.startswith(f"Fashion-MNIST: no t10k-labels-idx1-ubyte.gz in {raw}, and no download")
    assert text.endswith("or say data_root FOLDER for a folder that holds FashionMNIST/raw")
    assert "\n" not in text
    with pytest.raises(DataError, match=r"MNIST: no train-images.*, train-labels.*MNIST/raw"):
        MNIST(data_root=tmp_path / "elsewhere").setup()


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-20], lambda c: c[:60] + b"?" + c[61:], lambda c: b""]
)
def test_a_damaged_archive_is_named_in_one_line(tmp_path, raw, damage):
    path = raw / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz .*get it anew") as caught:
        Fashion(data_root=tmp_path).setup()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["images", "labels"])
def test_no_damaged_archive_is_taken_for_whole(tmp_path, files, part):
    path, axes = tmp_path / f"train-{part}-idx.gz", {"images": 3, "labels": 1}[part]
    whole = gzip.compress(next(c for name, c in files.items() if part in name), mtime=0)
    path.write_bytes(whole)
    expected, draw, unseen = read_idx(path, axes), random.Random(0), set()
    for number in range(320):
        content, place = bytearray(whole), draw.randrange(len(whole))
        content[place] ^= 1 << draw.randrange(8)
        path.write_bytes(content if number < 300 else whole[:place])
        try:
            found = read_idx(path, axes)
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert torch.equal(found, expected)
            unseen.add(place)
    assert len(unseen) < 10  # bytes that nothing is read from, such as the date in gzip's header


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x01\0\0\0\x05abc", b"\0\0\x0d\x01\0\0\0\0"])
def test_an_unpacked_file_that_is_no_idx_file_is_refused(tmp_path, content):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{len(content)} bytes that are not an idx file of 1 axes"):
        read_idx(path, axes=1)


def test_more_labels_than_images_are_refused(tmp_path, raw):
    path = raw / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx(torch.zeros(31))))
    with pytest.raises(DataError, match=r"Fashion-MNIST, train: 31 labels .* \(30, 1, 28, 28\)"):
        Fashion(data_root=tmp_path).setup()


def test_a_label_out_of_range_is_refused(tmp_path, raw):
    path = raw / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx(torch.full((30,), 10))))
    with pytest.raises(DataError, match="labels must be 0 to 9, got 10 to 10"):
        Fashion(data_root=tmp_path).setup()


@pytest.fixture
def unpacked(raw, files):
    """The same files unpacked, as if they were what was published."""
    names = [name.removesuffix(".gz") for name in files]
    for name in names:
        (raw / f"{name}.gz").unlink()
        (raw / name).write_bytes(files[f"{name}.gz"])
    facts = {
        "unpacked": {name: len(files[f"{name}.gz"]) for name in names},
        "published": [hashlib.md5(content).hexdigest() for content in files.values()],
    }
    few = type("FewFashion", (Fashion,), facts)
    few(data_root=raw.parents[1]).setup()
    return raw, lambda: few(data_root=raw.parents[1])


@pytest.mark.parametrize("part", ["images", "labels"])
def test_no_published_file_that_was_damaged_once_unpacked_is_taken_for_whole(unpacked, part):
    raw, data = unpacked
    (path,) = raw.glob(f"t10k-{part}*")
    whole, draw = path.read_bytes(), random.Random(0)
    for number in range(320):
        content, place = bytearray(whole), draw.randrange(len(whole))
        content[place] ^= 1 << draw.randrange(8)
        path.write_bytes(content if number < 300 else whole[:place])
        with pytest.raises(DataError, match=path.name) as caught:
            data().load("test")
        assert "\n" not in str(caught.value)


def test_what_differs_from_what_was_published_on_purpose_is_packed(unpacked):
    raw, data = unpacked
    path = raw / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    with pytest.raises(DataError, match=r"not the file that was published .* pack it with gzip"):
        data().setup()
    (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    data().setup()


def test_the_published_sizes_are_those_of_the_published_numbers_of_images():
    for name, size in Fashion.unpacked.items():
        count, pixels = 60_000 if "train" in name else 10_000, 784 if "images" in name else 1
        assert size == count * pixels + (16 if pixels > 1 else 8)
    assert len({*MNIST.published, *Fashion.published}) == 8


def test_an_archive_of_gigabytes_of_zeros_is_read_no_further_than_any_may_be(tmp_path):
    path = tmp_path / "zeros.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(5):
            file.write(bytes(41_000_000))
    with pytest.raises(DataError, match="is damaged: 200000001 bytes that are not"):
        read_idx(path, 1)
