import hashlib
import pickle
import tarfile
from urllib.request import urlretrieve

import pytest
import torch
import torchvision

from frankenstein.data import CIFAR10, DataError


def pixels_of(size):
    return torch.randint(
        256, (size, 3072), dtype=torch.uint8, generator=torch.Generator().manual_seed(size)
    )


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """Small files in CIFAR-10's format, with their checksums where torchvision looks for them."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    source = torchvision.datasets.CIFAR10

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def batch(size):
        pixels = pixels_of(size).numpy()
        return {"data": pixels, "labels": list(range(size))}

    train = [write(f"data_batch_{i}", batch(4)) for i in range(1, 6)]
    name, md5 = write("batches.meta", {"label_names": list(CIFAR10.classes)})
    monkeypatch.setattr(source, "train_list", train)
    monkeypatch.setattr(source, "test_list", [write("test_batch", batch(6))])
    monkeypatch.setattr(source, "meta", {"filename": name, "key": "label_names", "md5": md5})
    # torchvision's own asks a server for the length, which a file:// address has not.
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", urlretrieve)
    monkeypatch.setattr(source, "url", (tmp_path / "mirror.tar.gz").as_uri())
    return folder


def test_batches_are_read_channels_first(tmp_path, batches):
    data = CIFAR10(data_root=tmp_path)
    data.setup()
    assert data.train_images.shape == (20, 3, 32, 32)
    assert data.train_images.is_contiguous()
    assert data.train_labels.tolist() == [0, 1, 2, 3] * 5
    assert data.val_images.flatten().tolist() == pixels_of(6).flatten().tolist()


def test_an_absent_archive_is_downloaded(tmp_path, batches, monkeypatch):
    mirror = tmp_path / "mirror.tar.gz"
    with tarfile.open(mirror, "w:gz") as archive:
        archive.add(batches, "cifar-10-batches-py")
    md5 = hashlib.md5(mirror.read_bytes()).hexdigest()
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", md5)
    data = CIFAR10(data_root=tmp_path / "elsewhere")
    data.setup()
    assert len(data.train_labels) == 20


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("damaged", [True, False])
def test_absent_and_damaged_files_are_named_in_one_line(tmp_path, batches, name, damaged):
    if damaged:
        (batches / name).write_bytes(pickle.dumps(Bomb()))
    else:
        (batches / name).unlink()
    with pytest.raises(DataError) as caught:
        CIFAR10(data_root=tmp_path).setup()
    text = str(caught.value)
    assert text.startswith(f"CIFAR-10: {name} absent or damaged in {batches}, and no download (")
    assert text.endswith("or say data_root FOLDER for a folder that holds cifar-10-batches-py")
    assert "\n" not in text


class Bomb:
    """A pickle that fails the test if anything unpickles it."""

    def __reduce__(self):
        return pytest.fail, ("a file with a wrong checksum was unpickled",)
