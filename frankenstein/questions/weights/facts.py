"""What networks' weights say of them, layer by layer, and how far apart they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

import numpy as np
import torch
from sklearn.decomposition import PCA, KernelPCA
from torch import Tensor, nn

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.linear import pointed
from frankenstein.errors import UserError
from frankenstein.intervals import chance_of, family_wise, mean_and_spread
from frankenstein.questions.merging.unit_orders import optima_by_weights
from frankenstein.shapes import ShapeError
from frankenstein.surgery import permute

Matrices = Mapping[str, Tensor]  # {layer: (units, numbers of each)}, float64 on the CPU
FACTS = ("norm", "deviation", "zeros", "sparsity", "effective_rank")


def weight_matrices(network: nn.Module) -> dict[str, Tensor]:
    """Every weight of two or more axes, one row per output unit, in order; no biases or norms."""
    return {
        name.removesuffix(".weight"): weight.detach().flatten(1).double().cpu()
        for name, weight in network.named_parameters()
        if weight.ndim >= 2
    }


@dataclass(frozen=True)
class WeightFacts:
    """Numbers of one weight matrix."""

    norm: float  # Frobenius: the root of the sum of squares
    deviation: float  # standard deviation of its entries
    zeros: float  # share of entries that are exactly 0
    sparsity: float  # Hoyer's: 0 if all entries are of one size, 1 if one alone is not 0
    effective_rank: float  # 1 to the number of singular values
    spectrum: Tensor  # singular values, largest first


def weight_facts(
    weight: Tensor,  # (E, D)
) -> WeightFacts:
    """Norm, spread, sparsity and spectrum of a matrix; NaN where all of it is 0.

    Sources: Hoyer 2004, https://jmlr.org/papers/v5/hoyer04a.html, section 3.1; effective rank: Roy
    & Vetterli 2007, https://infoscience.epfl.ch/record/110188, definition 1: the exponential of
    the entropy of the singular values as shares of their sum.

    >>> facts = weight_facts(torch.eye(3))
    >>> round(facts.effective_rank, 3), round(facts.norm, 3)
    (3.0, 1.732)
    """
    weight = weight.double()
    norm, size, root = weight.norm(), weight.abs().sum(), weight.numel() ** 0.5
    spectrum = torch.linalg.svdvals(weight)
    shares = spectrum / spectrum.sum()
    sparsity = (root - size / norm) / (root - 1) if weight.numel() > 1 else torch.tensor(torch.nan)
    return WeightFacts(
        norm=float(norm),
        deviation=float(weight.std(correction=0)),
        zeros=float((weight == 0).double().mean()),
        sparsity=float(sparsity),
        effective_rank=float(torch.special.entr(shares).sum().exp()),
        spectrum=spectrum,
    )


def weight_distance(a: Tensor, b: Tensor) -> float:
    """|a - b| over the root of |a|² + |b|²: 0 if equal, 1 if unrelated, the root of 2 if opposite.

    Raises:
        ShapeError: if they differ in shape.

    >>> weight_distance(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 5.0]]))
    1.0
    """
    if a.shape != b.shape:
        raise ShapeError(
            f"a distance is between weights of one shape, got {tuple(a.shape)} and "
            f"{tuple(b.shape)}; compare their spectra"
        )
    a, b = a.double(), b.double()
    return float((a - b).norm() / (a.square().sum() + b.square().sum()).sqrt())


def matched_rows(a: Tensor, b: Tensor) -> Tensor:
    """The rows of a in the order in which they are nearest to those of b, one to one.

    The assignment of least sum of squared distances, solved by scipy.
    """
    return a[assignment(b.double() @ a.double().T)[1]]


def moved_rows(
    before: Tensor,  # (E, D)
    after: Tensor,  # (E, D), with rows and columns in other orders
) -> list[int]:  # E
    """Which row each one was, told by its numbers; of equal rows it may be any of them.

    >>> moved_rows(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[4.0, 3.0], [2.0, 1.0]]))
    [1, 0]
    """
    # Plus 0, for -0 is another number to the bytes, and none to the order.
    was, now = (
        [row.numpy().tobytes() for row in (z + 0.0).sort(1).values] for z in (before, after)
    )
    known = {row: i for i, row in enumerate(was)}
    return [known[row] for row in now]


def matched_weights(
    sender: nn.Module, receiver: nn.Module, seed: int = 0
) -> tuple[list[Matrices], bool]:
    """The sender's matrices with its units in the receiver's order, and whether it is one order.

    Networks of one architecture are matched as a whole (`optima_by_weights`): what comes back are
    the weights of networks that compute what the sender does, one for each start, the nearest
    first. Others are matched layer by layer, rows alone, where the shapes are the same; the order
    of the last layer's, the classes, is kept; and there is one optimum.
    """
    mine, theirs = weight_matrices(sender), weight_matrices(receiver)
    try:
        optima = optima_by_weights(sender, receiver, seed)
        return [weight_matrices(permute(sender, orders)) for orders in optima], True
    except UserError:  # another architecture, or steps of which it is not known what they permute
        last = list(mine)[-1:]
    matched = {
        layer: matched_rows(weight, theirs[layer])
        if layer not in last and layer in theirs and theirs[layer].shape == weight.shape
        else weight
        for layer, weight in mine.items()
    }
    return [matched], False


def common_axes(
    rows: Sequence[Tensor],  # each (N, D): the rows of one network's matrix
) -> tuple[list[Tensor], float]:  # each (N, 2); share of the variance that these axes hold
    """All rows as points on their first two principal axes, which they share.

    The point furthest out on an axis is at its positive end.

    Raises:
        ShapeError: if they differ in length.
    """
    if len({z.shape[1] for z in rows}) != 1:
        lengths = ", ".join(str(z.shape[1]) for z in rows)
        raise ShapeError(f"common axes need rows of one length, got {lengths}")
    together = torch.cat([z.double() for z in rows]).numpy()
    axes = min(2, *together.shape)
    # Of long rows the products with each other are fewer than those of their numbers.
    wide = together.shape[1] > len(together)
    pca = KernelPCA(axes, eigen_solver="dense") if wide else PCA(axes, svd_solver="full")
    points = torch.from_numpy(np.ascontiguousarray(pca.fit_transform(together)))
    points = points * pointed(points)
    points = nn.functional.pad(points, (0, 2 - points.shape[1]))
    total = np.square(together - together.mean(0)).sum()
    share = float(points.square().sum() / total) if total > 0 else float("nan")
    return list(points.split([len(z) for z in rows])), share


@dataclass(frozen=True)
class Distance:
    """Between the weights of two networks in one layer: 0 for equal ones, 1 for unrelated ones."""

    before: float
    optima: tuple[float, ...]  # once the units are matched: of every start, the best match first

    @property
    def after(self) -> float:
        """Of the match whose weights are nearest on the whole."""
        return self.optima[0]


@dataclass(frozen=True)
class Axes:
    """The rows of all networks' matrices of a layer on the first two axes that they share."""

    points: Mapping[str, Tensor]  # role: (units, 2)
    share: float  # of the variance, that the axes hold
    chance: tuple[float, ...]  # that those of as many untrained networks hold, matched likewise
    units: Mapping[str, Sequence[int]]  # role: the number in its own network of each of these rows


@dataclass(frozen=True)
class WeightsAnswer:
    """Of every layer that at least two of the networks have."""

    layers: tuple[str, ...]
    alone: Mapping[str, tuple[str, ...]]  # role: layers that only this network has
    matrices: Mapping[str, Matrices]  # by role
    facts: Mapping[str, Mapping[str, WeightFacts]]  # layer, role
    untrained: Sequence[Matrices]  # of networks of the sender's kind
    untrained_facts: Mapping[str, Sequence[WeightFacts]]  # layer: of these
    distances: Mapping[tuple[str, str], Mapping[str, Distance]]  # two roles, layer
    # Likewise: of untrained networks of the two's kinds, one for each pair of them.
    control_distances: Mapping[tuple[str, str], Sequence[Mapping[str, Distance]]]
    axes: Mapping[str, Axes]  # layers whose rows are of one length in all networks
    whole: bool  # whether units were matched in all layers together
    # Layer, role: the images that each of the rows above answers to most, (units, K, C, H, W).
    seen: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"norm/sender/fc1": ..., "distance_after/sender-receiver/fc1": ...}."""
        numbers: dict[str, float] = {}
        for layer in self.layers:
            for role, facts in self.facts[layer].items():
                numbers |= {f"{name}/{role}/{layer}": getattr(facts, name) for name in FACTS}
            for name in FACTS if layer in self.untrained_facts else ():
                values = [getattr(facts, name) for facts in self.untrained_facts[layer]]
                mean, spread = mean_and_spread(values)
                place = f"untrained_sender/{layer}"
                numbers |= {f"{name}/{place}": mean, f"{name}_spread/{place}": spread}
        for layer, axes in self.axes.items():
            numbers[f"axes/{layer}"] = axes.share
            if axes.chance:
                mean, spread = mean_and_spread(axes.chance)
                numbers[f"axes/untrained/{layer}"] = mean
                numbers[f"axes/untrained_spread/{layer}"] = spread
        for two, pair in self.pair_names.items():
            for layer, distance in self.distances[two].items():
                numbers[f"distance_before/{pair}/{layer}"] = distance.before
                numbers[f"distance_after/{pair}/{layer}"] = distance.after
                numbers[f"distance_spread/{pair}/{layer}"] = mean_and_spread(distance.optima)[1]
            for layer, p in self.chances(two).items():
                numbers[f"distance_p/{pair}/{layer}"] = p
        first = next(iter(self.distances))
        for layer in self.distances[first]:
            for what in ("before", "after"):
                mean, spread = self.control(first, layer, what)
                numbers[f"distance_{what}/untrained/{layer}"] = mean
                numbers[f"distance_{what}_spread/untrained/{layer}"] = spread
        return numbers

    def control(self, two: tuple[str, str], layer: str, what: str) -> tuple[float, float]:
        """Mean and standard deviation over untrained pairs of the distance "before" or "after"."""
        controls = self.control_distances[two]
        return mean_and_spread([getattr(one[layer], what) for one in controls])

    def chances(self, two: tuple[str, str]) -> Mapping[str, float]:
        """How often untrained networks are as near once matched, for all layers together."""
        controls = self.control_distances[two]
        return family_wise(
            {
                layer: chance_of(distance.after, [one[layer].after for one in controls], "below")
                for layer, distance in self.distances[two].items()
            }
        )

    @cached_property
    def pair_names(self) -> Mapping[tuple[str, str], str]:
        """What numbers and tables call two networks; each pair has a name of its own."""
        names: dict[tuple[str, str], str] = {}
        plain = ["-".join(two) for two in self.distances]  # roles may have dashes, too
        for two, name in zip(self.distances, plain, strict=True):
            free = name not in names.values()
            others = (f"{name}-{number}" for number in count(2))
            taken = {*names.values(), *plain}
            names[two] = name if free else next(one for one in others if one not in taken)
        return names
