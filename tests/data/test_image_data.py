from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import resize

from frankenstein.catalog import DATASETS
from frankenstein.data import DataError, Digits, ImageData, Preprocessing
from frankenstein.data.augment import random_flip_and_crop
from frankenstein.data.images import recoloured, recoloured_numbers
from frankenstein.tasks import DataModule


class Noise(ImageData):
    """40 random images to train with, 10 held out."""

    name = "noise"
    classes = ("even", "odd")
    num_classes = 2
    in_channels = 3
    native_size = 8
    mean, std = (0.5, 0.25, 0.0), (0.5, 1.0, 2.0)
    augment = staticmethod(random_flip_and_crop)

    def load(self, split):
        size = {"train": 40, "test": 10}[split]
        generator = torch.Generator().manual_seed(size)
        images = torch.randint(256, (size, 3, 8, 8), dtype=torch.uint8, generator=generator)
        return images, torch.arange(size) % 2


class Recorder(pl.LightningModule):
    """A linear classifier that remembers the images it was given."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3 * 8 * 8, 2)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.trained, self.validated = [], []

    def training_step(self, batch, batch_idx):
        images, labels = batch
        self.trained.append(images)
        return nn.functional.cross_entropy(self.linear(images.flatten(1)), labels)

    def validation_step(self, batch, batch_idx):
        self.validated.append(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data, until=-1, resume=None, callbacks=(), **options):
    task = Recorder()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        max_steps=until,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(task, DataModule(data), ckpt_path=resume, weights_only=True)
    return task, trainer


@pytest.mark.parametrize("name", DATASETS)
def test_the_catalog_and_the_class_agree(name):
    row = DATASETS[name]
    assert issubclass(row.target, ImageData)
    if row.num_classes is not None:
        assert row.num_classes == row.target.num_classes == len(set(row.target.classes))
    assert row.multilabel == row.target.multilabel
    assert row.in_channels == row.target.in_channels
    if row.in_channels:  # text has none, and no mean either
        assert len(row.target.mean) == len(row.target.std) == row.in_channels


class Given(Noise):
    """Images and labels of a test's own, for both parts; the parts that were loaded."""

    def __init__(self, images, labels, **options):
        super().__init__(**options)
        self.given, self.loaded = (images, labels), []

    def load(self, split):
        self.loaded.append(split)
        return self.given


def test_only_uint8_images_are_held_and_they_are_read_once():
    data = Given(*Noise().load("train"), image_size=12)
    data.setup()
    data.setup()
    assert data.loaded == ["train", "test"]
    assert data.train_images.dtype == data.val_images.dtype == torch.uint8
    assert data.train_images.shape == (40, 3, 12, 12)
    assert data.train_labels.dtype == data.val_labels.dtype == torch.int64


@pytest.mark.parametrize("size", [5, 20])
def test_images_are_resized_as_PIL_resizes(size):
    data, native = Noise(image_size=size), Noise()
    data.setup()
    native.setup()
    for ours, image in zip(data.val_images, native.val_images, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
        expected = torch.tensor(list(picture.tobytes())).view(size, size, 3).permute(2, 0, 1)
        assert (ours.int() - expected).abs().max() <= 1  # each rounds in its own way


def test_prepared_images_are_normalised_per_channel():
    data = Noise()
    prepared = data.prepare(torch.tensor([0, 255]).byte().view(2, 1, 1, 1).expand(2, 3, 1, 1))
    expected = torch.tensor([[-1.0, -0.25, 0.0], [1.0, 0.75, 0.5]])
    torch.testing.assert_close(prepared.flatten(1), expected)
    assert prepared.dtype == torch.float32


def test_passes_without_a_trainer_give_every_prepared_image_in_order():
    data = Noise(eval_batch_size=16)
    for batches, split in ((data.train_batches(), "train"), (data.val_batches(), "test")):
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        raw, expected_labels = data.load(split)
        assert torch.equal(images, data.prepare(raw))
        assert torch.equal(labels, expected_labels)


def test_a_trainer_validates_on_the_same_prepared_images():
    data = Noise(eval_batch_size=4)
    task = Recorder()
    pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    ).validate(task, DataModule(data))
    assert torch.equal(
        torch.cat(task.validated), torch.cat([images for images, _ in data.val_batches()])
    )


def test_training_repeats_bit_for_bit_whatever_validation_and_the_global_generator_do():
    first, _ = fit(Noise(batch_size=16), until=6)
    torch.rand(5)
    second, _ = fit(Noise(batch_size=16), until=6, limit_val_batches=0)
    assert all(torch.equal(a, b) for a, b in zip(first.trained, second.trained, strict=True))
    assert torch.equal(first.linear.weight, second.linear.weight)
    assert not first.trained[0].equal(first.trained[2])  # epochs differ


def test_another_order_seed_gives_another_order_and_other_augmentations():
    data, other = Noise(batch_size=40), Noise(batch_size=40, order_seed=1)
    first, _ = fit(data, until=1)
    second, _ = fit(other, until=1)
    assert len(torch.cat([first.trained[0], second.trained[0]]).unique(dim=0)) > 75


def test_training_images_are_augmented():
    data = Noise(batch_size=40)
    task, _ = fit(data, until=1)
    plain = {tuple(image.flatten().tolist()) for image in data.prepare(data.train_images)}
    shown = {tuple(image.flatten().tolist()) for image in task.trained[0]}
    assert len(plain & shown) < 20


@pytest.mark.parametrize("hook", ["batch_end", "epoch_end"])
def test_a_run_resumed_within_or_between_epochs_is_bit_equal(hook, tmp_path):
    save = pl.Callback()
    setattr(
        save,
        f"on_train_{hook}",
        lambda trainer, *_: trainer.save_checkpoint(tmp_path / f"{trainer.global_step}.ckpt"),
    )
    whole, _ = fit(Noise(batch_size=13), callbacks=[save])  # three batches in an epoch
    for path in tmp_path.iterdir():
        resumed, trainer = fit(Noise(batch_size=13), resume=path)
        step = int(path.stem)
        assert trainer.global_step == 9
        assert len(resumed.trained) == 9 - step
        assert all(map(torch.equal, whole.trained[step:], resumed.trained))
        assert torch.equal(whole.linear.weight, resumed.linear.weight)


def test_images_come_in_the_trainers_precision():
    _, trainer = fit(data := Noise(batch_size=16), until=1, precision="64-true")
    module = DataModule(data)
    module.trainer = trainer
    images, _ = module.on_after_batch_transfer((data.val_images, data.val_labels), 0)
    assert images.dtype == torch.float64


@pytest.mark.parametrize(
    ("images", "labels", "text"),
    [
        (torch.zeros(3, 3, 8, 8).byte(), torch.zeros(4), r"noise, train: 4 labels need .* \(3, 3,"),
        (
            torch.zeros(4, 1, 8, 8).byte(),
            torch.zeros(4),
            r"need .* \(4, 3, 8, 8\), got .*\(4, 1, 8",
        ),
        (torch.zeros(4, 3, 8, 8), torch.zeros(4), "got torch.float32"),
        (torch.zeros(0, 3, 8, 8).byte(), torch.zeros(0), "there are no images"),
        (torch.zeros(2, 3, 8, 8).byte(), torch.tensor([0, 2]), "labels must be 0 to 1, got 0 to 2"),
        (torch.zeros(2, 3, 8, 8).byte(), torch.tensor([-1, 1]), "got -1 to 1"),
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(images, labels, text):
    data = Given(images, labels.long())
    with pytest.raises(DataError, match=text):
        data.setup()


def test_a_class_without_training_images_is_told_before_training():
    data = Given(torch.zeros(2, 3, 8, 8).byte(), torch.ones(2).long(), batch_size=2)
    data.setup()
    with pytest.raises(DataError, match=r"noise, train: no image of 1 of 2 classes \("):
        data.shuffled_batches()


def test_what_trained_weights_want_replaces_mean_and_std():
    preprocessing = Preprocessing(10, 8, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    images = torch.full((1, 3, 1, 1), 255).byte()
    prepared = Noise(preprocessing=preprocessing).prepare(images)
    torch.testing.assert_close(prepared.flatten(), torch.tensor([0.9 / 0.4, 0.8 / 0.5, 0.7 / 0.6]))
    assert Noise.mean == (0.5, 0.25, 0.0)


def test_grey_images_keep_their_own_mean_and_std():
    colour = Preprocessing(10, 8, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert Digits(preprocessing=colour).mean == Digits.mean


def test_colours_as_grey_are_those_of_pil_and_grey_is_the_same_in_all_channels():
    images = torch.randint(256, (5, 3, 7, 7), dtype=torch.uint8)
    grey = [Image.fromarray(one.permute(1, 2, 0).numpy()).convert("L") for one in images]
    expected = torch.stack([torch.from_numpy(np.array(one))[None] for one in grey])
    assert torch.equal(recoloured(images, 1), expected)
    torch.testing.assert_close(recoloured(images.float(), 1), expected.float(), atol=0.51, rtol=0)
    assert torch.equal(recoloured(expected, 3), expected.expand(-1, 3, -1, -1))
    mean, std = (recoloured_numbers(one, 1) for one in (Noise.mean, Noise.std))
    data = Noise(channels=1)
    assert (data.mean, data.std, data.seen_shape[0]) == (mean, std, 1)
    assert data.prepare(images).shape == (5, 1, 7, 7)
    assert mean[0] == pytest.approx(0.299 * 0.5 + 0.587 * 0.25, abs=1e-4)
    with pytest.raises(
        DataError, match="images of 3 channels cannot become images of 4: only grey"
    ):
        Noise(channels=4)


@pytest.mark.parametrize("name", ["NEAREST", "BILINEAR", "BICUBIC"])
@pytest.mark.parametrize("size", [5, 12])
def test_images_in_memory_are_resized_as_torchvision_does_and_as_pil_but_for_a_rounding(name, size):
    how = Image.Resampling[name]
    data = Digits(image_size=size, preprocessing=Preprocessing(size, size, (), (), how))
    data.setup()
    raw = Digits()
    raw.setup()
    mode = InterpolationMode[name if name != "NEAREST" else "NEAREST_EXACT"]
    expected = resize(raw.val_images, [size, size], interpolation=mode, antialias=True)
    assert torch.equal(data.val_images, expected)
    pil = np.array(Image.fromarray(raw.val_images[0, 0].numpy()).resize((size, size), how))
    if name != "NEAREST":  # of two that are as near PIL takes the other one
        assert np.abs(data.val_images[0, 0].numpy().astype(int) - pil).max() <= 1


def test_a_filter_that_tensors_have_not_is_refused_by_name():
    how = Preprocessing(5, 5, (), (), Image.Resampling.LANCZOS)
    with pytest.raises(
        DataError, match="by nearest, bilinear, bicubic, not lanczos; say another re"
    ):
        Digits(image_size=5, preprocessing=how).setup()


class Several(Noise):
    """Noise that has or has not each of two labels."""

    multilabel = True

    def load(self, split):
        images, labels = super().load(split)
        return images, torch.stack([labels, 1 - labels], 1).float()


def test_several_labels_per_image_go_with_their_images():
    data = Several(eval_batch_size=4)
    labels = torch.cat([labels for _, labels in data.val_batches()])
    assert labels.tolist() == [[0, 1], [1, 0]] * 5


def test_labels_in_words():
    assert Noise().label_columns(torch.tensor([1, 0])) == {"class": ["odd", "even"]}
    words = Several().label_columns(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert words == {"even": ["yes", "yes"], "odd": ["no", "yes"]}


@pytest.mark.parametrize(
    "labels",
    [torch.zeros(40), torch.zeros(40, 3), torch.zeros(40, 2).long(), torch.full((40, 2), 2.0)],
)
def test_several_labels_that_are_not_yes_or_no_are_refused(labels):
    data = Given(torch.zeros(40, 3, 8, 8).byte(), labels)
    data.multilabel = True
    with pytest.raises(DataError, match=r"noise, train: several labels .* of shape \(N, 2\), got"):
        data.setup()


@pytest.mark.parametrize(
    ("said", "variable", "expected"),
    [(None, None, "data"), (None, "", "data"), (None, "there", "there"), ("here", "there", "here")],
)
def test_data_lies_where_said_else_where_the_variable_says_else_in_data(
    monkeypatch, said, variable, expected
):
    monkeypatch.delenv("FRANKENSTEIN_DATA", raising=False)
    if variable is not None:
        monkeypatch.setenv("FRANKENSTEIN_DATA", variable)
    assert Noise(data_root=said).data_root == Path(expected)


@pytest.mark.parametrize("option", ["image_size", "batch_size", "eval_batch_size"])
def test_sizes_below_one_are_refused(option):
    with pytest.raises(DataError, match=f"{option} must be at least 1, got 0"):
        Noise(**{option: 0})


def test_a_negative_order_seed_is_refused():
    with pytest.raises(DataError, match="order_seed must not be negative, got -1"):
        Noise(order_seed=-1)


def test_a_batch_larger_than_the_training_part_is_refused():
    data = Noise(batch_size=41)
    data.setup()
    with pytest.raises(DataError, match="40 training images do not fill one batch of 41"):
        data.shuffled_batches()
