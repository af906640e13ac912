"""What can be read out of a layer, by how simple a reader, and is it the layer's doing?"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError, same_examples

_STEPS = 100  # of L-BFGS: a linear probe is done after some 30, a hidden layer stops early


class Readout(NamedTuple):
    """Accuracies in [0, 1] of one kind of probe at one layer, one for each seed."""

    accuracy: list[float]  # on held-out examples
    control: list[float]  # of random labels, on the examples they were learned on
    control_held_out: list[float]  # of random labels on others: chance, or something leaks

    @property
    def selectivity(self) -> list[float]:
        """Accuracy less control: large if labels are read, small if they are learned by heart.

        None where there is no control.
        """
        return [a - b for a, b in zip(self.accuracy, self.control, strict=False)]


def probe_layers(
    train: Mapping[str, Tensor],  # layer: (N, C)
    train_labels: Tensor,  # (N,) int64 classes, or (N, L) float of 0 and 1
    held_out: Mapping[str, Tensor],  # layer: (M, C)
    held_out_labels: Tensor,
    hidden: int | None = None,  # units of a hidden layer; None: linear
    seeds: Sequence[int] = (0, 1, 2),
    control: bool = True,
) -> dict[str, Readout]:
    """A probe of every layer for the labels, and one for random labels.

    The labels may be any attribute of the examples: classes as integers, or several yes or no as
    floats; bin a quantity first (`torch.bucketize`). A probe reads units that are standardised over
    its examples, by softmax (logistic) regression, `hidden` ReLU units before it if asked for, with
    weights penalised as by scikit-learn's LogisticRegression with C = 1: linear probes are equal to
    it. Each seed draws its own half of the training examples, its own random labels, and the start
    of the hidden layer; what scatters over seeds is due to these, and not to the choice of held-out
    examples, which is the same for all.

    The control task of Hewitt & Liang 2019, https://arxiv.org/abs/1909.03368, gives every type of
    input (there, a word) a random label, which stays the same wherever the type comes again. Two
    images are never the same, so every image is a type of its own: its random label, drawn as
    often as it is among the true ones, can be learned by heart only, and comes again with the
    image itself only. So the control is read on the examples that were learned, and selectivity
    is the accuracy on held-out examples less the control.

    scikit-learn rather than a Trainer: the linear problem is convex and solved in some 20 ms, and
    the sample is in memory.

    Raises:
        ShapeError: if a layer and the labels have different numbers of examples, or for maps.
        UserError: if labels are a quantity, or all the same; for NaN or Inf in a layer.
    """
    targets = _targets(train_labels), _targets(held_out_labels)
    for rows, wanted in ((train, train_labels), (held_out, held_out_labels)):
        for layer, z in rows.items():
            same_examples(z, wanted)
            if z.ndim != 2:
                raise ShapeError(
                    f"a probe reads units (N, C), got {tuple(z.shape)} in {layer!r}; take means "
                    "over places first, frankenstein.shapes.pooled"
                )
            if not z.isfinite().all():
                raise UserError(f"NaN or Inf in {layer!r}; look at the network that made it")
    readouts = {layer: Readout([], [], []) for layer in train}
    for seed in seeds:
        draw = np.random.default_rng(seed)
        half = _half(draw, len(train_labels))
        labels = targets[0][half]
        chance = draw.permutation(labels), draw.permutation(targets[1])
        if (labels == labels[:1]).all():
            raise UserError("every label is the same; a probe needs an attribute that differs")
        for layer, readout in readouts.items():
            x, y = _array(train[layer])[half], _array(held_out[layer])
            readout.accuracy.append(_score(_fitted(x, labels, hidden, seed), y, targets[1]))
            if control:
                learned = _fitted(x, chance[0], hidden, seed)
                readout.control.append(_score(learned, x, chance[0]))
                readout.control_held_out.append(_score(learned, y, chance[1]))
    return readouts


def read_elsewhere(
    train: Tensor,  # (N, C)
    train_labels: Tensor,  # as of `probe_layers`
    others: Sequence[Tensor],  # (M, C) each
    other_labels: Tensor,
    seeds: Sequence[int] = (0, 1, 2),
) -> list[list[float]]:
    """Accuracies of the linear probes of `probe_layers` on other rows each, one for each seed."""
    labels, wanted = _targets(train_labels), _targets(other_labels)
    accuracies: list[list[float]] = [[] for _ in others]
    for seed in seeds:
        half = _half(np.random.default_rng(seed), len(labels))
        probe = _fitted(_array(train)[half], labels[half], None, seed)
        for known, rows in zip(accuracies, others, strict=True):
            known.append(_score(probe, _array(rows), wanted))
    return accuracies


def _half(draw: np.random.Generator, n: int) -> NDArray[Any]:
    return draw.permutation(n)[: max(2, n // 2)]


def _fitted(x: NDArray[Any], labels: NDArray[Any], hidden: int | None, seed: int) -> Any:
    probe = MLPClassifier(
        () if hidden is None else (hidden,),
        solver="lbfgs",
        alpha=1.0,
        max_iter=_STEPS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(StandardScaler(), probe).fit(x, labels)


def _score(probe: Any, x: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of labels that are right; of several per example, all of them counted."""
    return float((probe.predict(x) == labels).mean())


def _array(z: Tensor) -> NDArray[Any]:
    return z.double().cpu().numpy()


def _targets(labels: Tensor) -> NDArray[Any]:
    if labels.is_floating_point() and not ((labels == 0) | (labels == 1)).all():
        raise UserError(
            "a probe tells classes apart, as integers, or yes or no, as 0.0 and 1.0; bin a "
            "quantity first, as torch.bucketize does"
        )
    several = labels.ndim == 2 and labels.shape[1] > 1
    return (labels if several else labels.flatten()).long().cpu().numpy()
