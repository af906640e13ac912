import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision import models

from frankenstein.data import DataError, Folder, preprocessing_of
from frankenstein.networks.sources.timm import preprocessing_of_config
from frankenstein.tasks import Classifier


@pytest.fixture
def root(tmp_path):
    """Images of two kinds of fruit, of many sizes, as JPEG and PNG; some lie one folder deeper."""
    for part, count in (("train", 6), ("val", 3)):
        for number, name in enumerate(("pear", "apple")):
            folder = tmp_path / part / name / "more"
            folder.mkdir(parents=True)
            for i in range(count):
                place = folder if i == 1 else folder.parent
                pixels = torch.randint(256, (24 + 3 * i, 40 - 4 * i, 3), dtype=torch.uint8) // 2
                pixels[:, :, number] += 127
                image = Image.fromarray(pixels.numpy())
                image.save(place / f"{i}.{'png' if i % 2 else 'JPEG'}")
            (folder.parent / "notes.txt").write_text("not an image")
    return tmp_path


def test_classes_are_the_folders_and_labels_their_numbers(root):
    data = Folder(image_size=16, batch_size=4, data_root=root)
    assert data.classes == ("apple", "pear")
    assert data.num_classes == 2
    data.setup()
    assert data.train_labels.tolist() == [0] * 6 + [1] * 6
    assert data.val_labels.tolist() == [0] * 3 + [1] * 3
    assert data.train_labels.dtype == torch.int64
    images, labels = next(iter(data.shuffled_batches()))
    greener = images.float().mean((2, 3)).argmax(1) == 1
    assert torch.equal(greener.long(), 1 - labels.eq(1).long())


def test_held_out_images_are_seen_as_torchvision_shows_them(root):
    weights = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    data = Folder(data_root=root, eval_batch_size=4)
    source = torchvision.datasets.ImageFolder(str(root / "val"), weights)
    ours = torch.cat([images for images, _ in data.val_batches()])
    expected = torch.stack([image for image, _ in source])
    assert ours.shape == (6, 3, 224, 224)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "weights",
    [
        models.EfficientNet_B0_Weights.IMAGENET1K_V1,  # bicubic
        models.Swin_T_Weights.IMAGENET1K_V1,  # resized to 232
        models.ConvNeXt_Tiny_Weights.IMAGENET1K_V1,  # to 236
        models.Inception_V3_Weights.IMAGENET1K_V1,  # 342 to 299: both odd and even
        models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1,  # no margin
    ],
    ids=str,
)
def test_trained_weights_see_what_they_prescribe_to_the_pixel(root, weights):
    transforms = weights.transforms()
    how = preprocessing_of(transforms)
    data = Folder(image_size=how.crop, data_root=root, eval_batch_size=3, preprocessing=how)
    source = torchvision.datasets.ImageFolder(str(root / "val"), transforms)
    ours, _ = next(iter(data.val_batches()))
    expected = torch.stack([source[i][0] for i in range(3)])
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("size", "changed"),
    [
        (48, {"interpolation": "bicubic", "crop_pct": 0.875}),
        (48, {"interpolation": "bilinear", "crop_pct": 0.9}),
        (37, {"interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "squash"}),
        (32, {"interpolation": "nearest", "crop_pct": 1.0}),
    ],
)
def test_networks_of_timm_see_what_its_own_transform_makes_to_the_pixel(root, size, changed):
    from timm.data import create_transform, resolve_data_config

    config = resolve_data_config(pretrained_cfg=changed | {"input_size": (3, size, size)})
    how = preprocessing_of_config(config, size)
    data = Folder(image_size=size, data_root=root, eval_batch_size=3, preprocessing=how)
    source = torchvision.datasets.ImageFolder(str(root / "val"), create_transform(**config))
    ours, _ = next(iter(data.val_batches()))
    expected = torch.stack([source[i][0] for i in range(3)])
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_the_preprocessing_of_every_classifier_of_torchvision_is_known():
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            how = preprocessing_of(weights.transforms())
            assert how.resize >= how.crop > 0
            assert how.resize_for(how.crop) == how.resize


def test_the_preprocessing_of_another_task_is_refused():
    transforms = models.segmentation.FCN_ResNet50_Weights.DEFAULT.transforms()
    with pytest.raises(DataError, match="SemanticSegmentation does not say how to resize, crop"):
        preprocessing_of(transforms)


class Recorder(Classifier):
    """A linear classifier that remembers the images it was given."""

    def __init__(self):
        super().__init__(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2)))
        self.seen = []

    def training_step(self, batch, index):
        self.seen.append(batch[0])
        return super().training_step(batch, index)


def test_training_sees_random_windows_and_repeats_bit_for_bit(root, fit):
    seen = []
    for _ in range(2):
        data, task = Folder(image_size=16, batch_size=12, data_root=root), Recorder()
        fit(task, data, epochs=2)
        seen.append(task.seen)
    assert seen[0][0].shape == (12, 3, 16, 16)
    assert all(map(torch.equal, *seen))
    plain = torch.cat([images for images, _ in data.train_batches()])
    both = torch.cat([plain, *seen[0]])
    assert len(both.flatten(1).unique(dim=0)) > 24  # of 36, were none like another


def test_nothing_is_opened_before_a_batch_asks_for_it(root, monkeypatch):
    def refuse(*_):
        raise AssertionError("opened too early")

    monkeypatch.setattr(Image, "open", refuse)
    data = Folder(data_root=root)
    data.setup()
    assert len(data.train_images) == 12


def test_test_is_held_out_if_there_is_no_val(root):
    (root / "val").rename(root / "test")
    data = Folder(data_root=root)
    data.setup()
    assert len(data.val_labels) == 6


def test_a_class_without_held_out_images_is_none_of_our_business(root):
    for path in sorted((root / "val" / "apple").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    data = Folder(data_root=root)
    data.setup()
    assert data.val_labels.tolist() == [1, 1, 1]


def test_an_absent_folder_is_named_with_what_to_do(tmp_path):
    data = Folder(data_root=tmp_path / "nowhere")
    with pytest.raises(DataError) as caught:
        data.setup()
    text = str(caught.value)
    assert text.startswith(
        f"image folder: no {tmp_path / 'nowhere' / 'train'}/<class>/; put images into"
    )
    assert text.endswith("or say data_root FOLDER for a folder that has these")
    assert "\n" not in text


def test_an_absent_held_out_part_is_named(root):
    (root / "val").rename(root / "validation")
    with pytest.raises(
        DataError, match=r"no .*test/<class>/; put images into train/<class>/ and val/"
    ):
        Folder(data_root=root).setup()


def test_a_class_that_is_not_trained_is_refused(root):
    (root / "val" / "plum").mkdir()
    with pytest.raises(DataError, match="val has classes that train has not: plum; give folders"):
        Folder(data_root=root).setup()


def test_a_class_without_training_images_is_refused(root):
    (root / "train" / "plum").mkdir()
    with pytest.raises(DataError, match=r"no images in .*train of plum; put some there \(\.jpg, "):
        Folder(data_root=root).setup()


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_without_images_is_refused(root, part):
    for path in sorted((root / part).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(DataError, match=rf"image folder: no .*{part}/<class>/; put images"):
        Folder(data_root=root).setup()


def test_photographs_that_cannot_be_read_are_told_before_training_all_of_them(root):
    damaged = [root / "train" / "apple" / "0.JPEG", root / "val" / "pear" / "2.JPEG"]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-50])
    data = Folder(image_size=16, batch_size=4, data_root=root)
    data.setup()
    with pytest.raises(DataError) as caught:
        data.shuffled_batches()
    text = str(caught.value)
    assert text.startswith("image folder: 2 of 18 images cannot be read: ")
    assert all(f"{path} (" in text for path in damaged)
    assert text.endswith("; get them anew, or leave them out")
    assert "\n" not in text
    for path in (root / "train" / "pear").glob("*.*"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r": 7 of 18 images .* and others; get them anew"):
        data.check()


def test_links_that_lead_in_circles_or_to_the_same_image_give_each_image_once(root):
    plain = Folder(data_root=root)
    plain.setup()
    apple, other = root / "train" / "apple", root / "other"
    (apple / "self").symlink_to(apple)
    (apple / "more" / "up").symlink_to(root)
    (root / "train" / "pear" / "part").symlink_to(root / "train")
    (root / "train" / "pear" / "apples").symlink_to(apple)
    (apple / "again.png").symlink_to(apple / "0.JPEG")
    looped = Folder(data_root=root)
    looped.setup()
    assert looped.train_images.names.tolist() == plain.train_images.names.tolist()
    assert torch.equal(looped.train_labels, plain.train_labels)

    other.mkdir()
    Image.new("RGB", (9, 9)).save(other / "x.png")
    (apple / "elsewhere").symlink_to(other)
    (apple / "x1.png").symlink_to(other / "x.png")
    (apple / "x2.png").symlink_to(other / "x.png")
    linked = Folder(data_root=root)
    linked.setup()
    new = set(linked.train_images.names) - set(plain.train_images.names)
    assert new == {"apple/elsewhere/x.png", "apple/x1.png"}


def test_a_link_to_what_is_not_there_is_told_and_one_to_an_image_of_another_name_is_followed(root):
    apple = root / "train" / "apple"
    Image.new("RGB", (9, 9)).save(apple / "x.png")
    (apple / "x.png").rename(apple / "blob")
    (apple / "blob.png").symlink_to("blob")
    (apple / "lost.png").symlink_to("gone.png")
    data = Folder(data_root=root)
    with pytest.raises(DataError, match=r"1 of 20 images cannot be read: .*apple/lost\.png"):
        data.check()
    assert "apple/blob.png" in data.train_images.names


@pytest.mark.parametrize("name", ["two\nlines", b"no-utf8-\xff".decode(errors="surrogateescape")])
def test_a_class_whose_name_cannot_be_printed_is_refused(root, name):
    (root / "train" / name).mkdir()
    with pytest.raises(DataError, match=r"has a class called .*; give folders names that can"):
        Folder(data_root=root).setup()


def test_photographs_without_a_white_are_told_before_training_with_their_number(root):
    for number in range(2):
        path = root / "train" / "apple" / f"float{number}.tif"
        Image.new("F", (9, 9), 0.5).save(path)
    data = Folder(image_size=16, batch_size=4, data_root=root)
    with pytest.raises(DataError, match=r": 2 of 20 images cannot be read: .*have no white; save"):
        data.check()
