"""Stitching with whatever loader a Trainer takes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from frankenstein.data import Digits
from frankenstein.errors import UserError
from frankenstein.stitches import Affine
from frankenstein.surgery import capture
from frankenstein.tasks import Stitching

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training"),
]


class Items(torch.utils.data.Dataset):
    def __init__(self, *named):
        self.named = dict(named)

    def __len__(self):
        return len(next(iter(self.named.values())))

    def __getitem__(self, row):
        return {name: x[row] for name, x in self.named.items()}


class Recurrent(nn.Module):
    """Ids and how many of them count, to classes."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding, self.lstm = nn.Embedding(11, 4), nn.LSTM(4, 6, batch_first=True)
        self.fc = nn.Linear(6, 3)

    def forward(self, ids, lengths):
        states, _ = self.lstm(self.embedding(ids))
        return self.fc(states.mean(1) * lengths)


def solved(x, y):
    """Least squares with a bias, in float64: (D + 1, E)."""
    x = np.hstack([x.double().numpy(), np.ones((len(x), 1))])
    return np.linalg.lstsq(x, y.double().numpy(), rcond=None)[0]


@pytest.mark.parametrize("named", [False, True])
def test_a_stitch_starts_solved_on_the_loader_that_it_is_trained_with(small_network, fit, named):
    one, other = small_network(0), small_network(1)
    images, labels = torch.randn(96, 1, 8, 8), torch.arange(96) % 10
    data = Items(("label", labels), ("image", images.double())) if named else None
    loader = DataLoader(data or TensorDataset(images, labels), batch_size=32, shuffle=True)
    task = Stitching(one, other, "bn2", "fc", Affine(6, 10), start="solved", lr=0.0)
    fit(task, loader)
    with torch.no_grad():
        source = capture(one, ["bn2"])(images)["bn2"].mean((2, 3))
        target = capture(other, ["fc"])(images)["fc"]
    weight, bias = task.stitch.affine_map()
    expected = solved(source, target)
    np.testing.assert_allclose(weight.detach().T, expected[:-1], atol=1e-5)
    np.testing.assert_allclose(bias.detach(), expected[-1], atol=1e-5)


def test_two_networks_of_ids_and_lengths_are_stitched(fit):
    one, other = Recurrent(0), Recurrent(1)
    ids = torch.randint(11, (60, 5), generator=torch.Generator().manual_seed(0))
    lengths, labels = torch.rand(60, 1), torch.arange(60) % 3
    data = Items(("ids", ids), ("lengths", lengths), ("label", labels), ("row", torch.arange(60)))
    inputs = {"ids": ids[:4], "lengths": lengths[:4]}
    task = Stitching(one, other, "mul", "mul", Affine(6, 6), start="solved", inputs=inputs, lr=0.0)
    loader = DataLoader(data, batch_size=20)
    trainer = fit(task, loader)
    with torch.no_grad():
        x, y = (
            network.lstm(network.embedding(ids))[0].mean(1) * lengths for network in (one, other)
        )
        graft = other.fc(task.stitch(x))
    np.testing.assert_allclose(task.stitch.affine_map()[0].detach().T, solved(x, y)[:-1], atol=1e-5)
    trainer.validate(task, loader, verbose=False)
    accuracy = (graft.argmax(1) == labels).double().mean().item()
    assert trainer.callback_metrics["val/accuracy"].item() == pytest.approx(accuracy)


def test_batches_without_labels_are_refused(small_network, fit):
    task = Stitching(small_network(0), small_network(1), "bn1", "bn1", Affine(4, 4))
    with pytest.raises(UserError, match="the batches have no labels, which task loss and accurac"):
        fit(task, DataLoader(torch.randn(8, 1, 8, 8), batch_size=4))


def test_moments_of_a_map_and_a_vector_are_those_of_the_source_laid_like_the_target():
    from frankenstein.zoo import build_network

    one, other = (build_network("lenet", init_seed=seed) for seed in (0, 1))
    task = Stitching(one, other, "relu2", "fc1", Affine(16, 120))
    batches = Digits(image_size=32).val_batches(20)
    assert task.moments(batches).n == 20
