import hashlib
import pickle

import pytest
import torch
import torchvision

from frankenstein.data import CIFAR100, DataError


def pixels_of(size):
    return torch.randint(
        256, (size, 3072), dtype=torch.uint8, generator=torch.Generator().manual_seed(size)
    )


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Small files in CIFAR-100's format, with their checksums where torchvision looks for them."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    source = torchvision.datasets.CIFAR100

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def part(size):
        pixels = pixels_of(size).numpy()
        labels = [99 - i for i in range(size)]
        return {"data": pixels, "fine_labels": labels, "coarse_labels": [0] * size}

    name, md5 = write("meta", {"fine_label_names": list(CIFAR100.classes)})
    monkeypatch.setattr(source, "train_list", [write("train", part(5))])
    monkeypatch.setattr(source, "test_list", [write("test", part(3))])
    monkeypatch.setattr(source, "meta", {"filename": name, "key": "fine_label_names", "md5": md5})
    monkeypatch.setattr(source, "url", (tmp_path / "mirror.tar.gz").as_uri())
    return folder


def test_the_fine_labels_are_read(tmp_path, files):
    data = CIFAR100(data_root=tmp_path)
    data.setup()
    assert data.train_images.shape == (5, 3, 32, 32)
    assert data.train_labels.tolist() == [99, 98, 97, 96, 95]
    assert data.classes[99] == "worm"
    assert data.val_images.flatten().tolist() == pixels_of(3).flatten().tolist()


def test_an_absent_file_is_named_in_one_line(tmp_path, files):
    (files / "train").unlink()
    with pytest.raises(DataError) as caught:
        CIFAR100(data_root=tmp_path).setup()
    text = str(caught.value)
    assert text.startswith(f"CIFAR-100: train absent or damaged in {files}, and no download (")
    assert "unpack cifar-100-python.tar.gz in" in text
    assert text.endswith("for a folder that holds cifar-100-python")
    assert "\n" not in text
