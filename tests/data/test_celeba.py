import random

import pytest
import torch
import torchvision
from PIL import Image
from torchvision import transforms as T

from frankenstein.data import CelebA, DataError


@pytest.fixture
def folder(tmp_path):
    """Nine faces in CelebA's files: five of train, one of valid, three of test."""
    folder = tmp_path / "celeba"
    pixels = folder / "img_align_celeba"
    pixels.mkdir(parents=True)
    names = [f"{i:06}.jpg" for i in range(1, 10)]
    for name in names:
        noise = torch.randint(256, (22, 18, 3), dtype=torch.uint8).numpy()
        Image.fromarray(noise).resize((178, 218)).save(pixels / name)
    signs = torch.randint(2, (9, 40)) * 2 - 1
    rows = [" ".join(f"{sign:2}" for sign in row) for row in signs.tolist()]
    lines = [f"{name} {row}" for name, row in zip(names, rows, strict=True)]
    head = ["9", " ".join(CelebA.classes) + " "]
    (folder / "list_attr_celeba.txt").write_text("\n".join([*head, *lines]) + "\n")
    parts = [0, 0, 0, 0, 1, 2, 0, 2, 2]
    lines = [f"{name} {part}" for name, part in zip(names, parts, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_parts_and_attributes_are_those_of_torchvision(folder, monkeypatch):
    for name in ("identity_CelebA", "list_bbox_celeba", "list_landmarks_align_celeba"):
        lines = [f"{i:06}.jpg 1" for i in range(1, 10)]
        head = [] if "identity" in name else ["9", "x"]
        (folder / f"{name}.txt").write_text("\n".join([*head, *lines]))
    monkeypatch.setattr(torchvision.datasets.CelebA, "_check_integrity", lambda self: True)
    data = CelebA(data_root=folder.parent)
    data.setup()
    for part, labels, images in (
        ("train", data.train_labels, data.train_images),
        ("test", data.val_labels, data.val_images),
    ):
        theirs = torchvision.datasets.CelebA(folder.parent, part)
        assert labels.dtype == torch.float32
        assert torch.equal(labels, theirs.attr.float())
        assert images.names.tolist() == theirs.filename
    assert (len(data.train_labels), len(data.val_labels)) == (5, 3)


def test_faces_are_seen_as_in_dr_frankenstein(folder):
    steps = [T.Resize((256, 256)), T.CenterCrop(224), T.ToTensor(), lambda x: x * 255 - 117]
    images, _ = next(iter(CelebA(data_root=folder.parent).val_batches()))
    for image, number in zip(images, (6, 8, 9), strict=True):
        face = Image.open(folder / "img_align_celeba" / f"{number:06}.jpg")
        torch.testing.assert_close(image, T.Compose(steps)(face), atol=1e-3, rtol=0)


def test_training_faces_are_cropped_and_turned(folder):
    data = CelebA(image_size=32, data_root=folder.parent)
    data.setup()
    faces = data.train_images[:]
    assert faces.shape == (5, 3, 37, 37)
    assert data.augment(faces, torch.Generator()).shape == (5, 3, 32, 32)
    prepared = data.prepare(data.augment(faces, torch.Generator()))
    assert prepared.shape == (5, 3, 32, 32)
    assert prepared.min() >= -117.001
    assert prepared.max() <= 138.001


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_an_absent_list_is_named_with_what_to_do(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError) as caught:
        CelebA(data_root=folder.parent).setup()
    text = str(caught.value)
    assert text.startswith(f"CelebA: no {name} in {folder}; place list_attr_celeba.txt, list_eval")
    assert text.endswith("or say data_root FOLDER for a folder that holds celeba")
    assert "\n" not in text


def test_absent_faces_are_counted_before_anything_runs(folder):
    pixels = folder / "img_align_celeba"
    (pixels / "000002.jpg").unlink()
    with pytest.raises(DataError, match=r"no img_align_celeba/000002.jpg \(1 of 5 images\) in"):
        CelebA(data_root=folder.parent).setup()
    pixels.rename(folder / "elsewhere")
    with pytest.raises(DataError, match=r"000001.jpg \(5 of 5 images\)"):
        CelebA(data_root=folder.parent).setup()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("list_attr_celeba.txt", lambda text: text[:-30]),
        ("list_attr_celeba.txt", lambda text: ""),
        ("list_attr_celeba.txt", lambda text: text.replace("Bald", "Bold")),
        ("list_attr_celeba.txt", lambda text: text.replace("000003", "000033")),
        ("list_attr_celeba.txt", lambda text: text.replace("-1", "-3", 1)),
        ("list_attr_celeba.txt", lambda text: text.replace("9", "8", 1)),
        ("list_eval_partition.txt", lambda text: text[:-14]),
        ("list_eval_partition.txt", lambda text: text.replace(" 2", " 6", 1)),
        ("list_eval_partition.txt", lambda text: ""),
    ],
)
def test_lists_that_do_not_belong_together_are_refused(folder, name, damage):
    path = folder / name
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match="do not list 40 attributes of the same images; get them"):
        CelebA(data_root=folder.parent).setup()


def test_a_list_that_is_not_text_is_refused(folder):
    (folder / "list_attr_celeba.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"list_attr_celeba.txt is damaged: not text; get it anew"):
        CelebA(data_root=folder.parent).setup()


def test_no_damaged_list_of_as_many_faces_as_were_published_is_taken_for_whole(folder):
    nine = type("Nine", (CelebA,), {"published": {"0": 4, "1": 2, "2": 3}})

    parts = folder / "list_eval_partition.txt"
    places = zip(range(1, 10), "000011222", strict=True)
    parts.write_text("\n".join(f"{i:06}.jpg {part}" for i, part in places) + "\n")

    def read():
        data = nine(data_root=folder.parent)
        return [data._listed(part) for part in ("0", "1", "2")]

    expected, chance = read(), random.Random(0)
    for path in (parts, folder / "list_attr_celeba.txt"):
        whole, unseen = path.read_bytes(), 0
        for number in range(320):
            content, place = bytearray(whole), chance.randrange(len(whole))
            content[place] ^= 1 << chance.randrange(8)
            path.write_bytes(content if number < 300 else whole[:place])
            try:
                found = read()
            except DataError as error:
                assert path.name in str(error)  # noqa: PT017
            else:  # a space that has become another space, or the last line's end
                unseen += 1
                for (names, labels), (theirs, rows) in zip(found, expected, strict=True):
                    assert names == theirs
                    assert torch.equal(labels, rows)
        assert unseen < 60
        path.write_bytes(whole)


def test_faces_moved_to_another_part_of_the_published_list_are_told(folder):
    nine = type("Nine", (CelebA,), {"published": {"0": 5, "1": 1, "2": 3}})

    with pytest.raises(DataError, match=r"partition\.txt is damaged: .* other parts; get it"):
        nine(data_root=folder.parent).setup()
