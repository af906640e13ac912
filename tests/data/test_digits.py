import torch

from frankenstein.data import Digits


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
