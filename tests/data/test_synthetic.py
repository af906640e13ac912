import pytest
import torch
from torch import nn

from frankenstein.data import Synthetic


def test_its_images_are_always_the_same_and_those_held_out_are_others():
    one, other = Synthetic(train_size=30, test_size=20), Synthetic(train_size=30, test_size=20)
    one.setup()
    torch.rand(3)
    other.setup()
    assert torch.equal(one.train_images, other.train_images)
    assert len(torch.cat([one.train_images, one.val_images]).flatten(1).unique(dim=0)) == 50


@pytest.mark.parametrize(
    ("image_size", "num_classes", "in_channels"), [(8, 2, 1), (33, 7, 3), (224, 40, 3)]
)
def test_any_size_and_number_of_classes_can_be_had(image_size, num_classes, in_channels):
    data = Synthetic(
        image_size, num_classes=num_classes, in_channels=in_channels, train_size=40, test_size=40
    )
    images, labels = next(iter(data.val_batches()))
    assert images.shape == (40, in_channels, image_size, image_size)
    assert labels.unique().tolist() == list(range(num_classes))
    assert len(data.classes) == data.num_classes == num_classes


def test_prepared_images_have_about_zero_mean_and_unit_variance():
    images = torch.cat([images for images, _ in Synthetic(16).train_batches()])
    assert abs(images.mean()) < 0.1
    assert 0.9 < images.std() < 1.1


def test_it_can_be_learned():
    data = Synthetic(16, batch_size=64, train_size=512, test_size=128)
    linear = nn.Linear(3 * 16 * 16, 10)
    optimizer = torch.optim.SGD(linear.parameters(), lr=0.01)
    data.setup()
    for images, labels in data.shuffled_batches():
        loss = nn.functional.cross_entropy(linear(data.prepare(images).flatten(1)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, labels = next(iter(data.val_batches()))
    assert (linear(images.flatten(1)).argmax(1) == labels).float().mean() > 0.9
