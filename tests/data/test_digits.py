import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from frankenstein.data import Digits


def test_digits_are_scikit_learns_split_by_its_own_function():
    digits = load_digits()
    rows = train_test_split(
        np.arange(len(digits.target)), test_size=360, stratify=digits.target, random_state=0
    )
    for part, chosen in zip(("train", "test"), rows, strict=True):
        images, labels = Digits().load(part)
        assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
        assert np.array_equal(images[:, 0], np.rint(digits.images[chosen] * (255 / 16)))
        assert np.array_equal(labels, digits.target[chosen])


def test_digits_are_split_once_and_for_all():
    data = Digits()
    data.setup()
    assert data.train_images.shape == (1437, 1, 8, 8)
    assert data.val_images.shape == (360, 1, 8, 8)
    assert data.val_labels[:10].tolist() == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3]
    counts = data.val_labels.bincount()
    assert counts.min() >= 35
    assert counts.max() <= 37
    assert data.train_images.max() == data.val_images.max() == 255


def test_prepared_training_digits_have_zero_mean_and_unit_variance():
    images = torch.cat([images for images, _ in Digits().train_batches()])
    assert abs(images.mean()) < 1e-3
    assert abs(images.std() - 1) < 1e-3
