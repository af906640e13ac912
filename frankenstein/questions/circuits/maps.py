"""Circuits laid out to be looked at: on a plane, and by the classes that they answer to."""

import math
import warnings
from importlib.util import find_spec
from typing import Any

import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from frankenstein.accumulators.linear import pointed
from frankenstein.errors import UserError

MAPS = ("pca", "tsne", "umap")
_LEAST = {"pca": 2, "tsne": 8, "umap": 8}  # points that a map needs; of fewer it shows noise
_SHUFFLES = 19
_PERPLEXITY = 30.0  # scikit-learn's, where there are so many points


def maps_at_hand() -> tuple[str, ...]:
    """The kinds of maps that can be made here: umap only where umap-learn is installed."""
    return MAPS if find_spec("umap") else MAPS[:2]


def circuit_map(
    profiles: Tensor,  # (G, N), groups of any number of networks
    kind: str = "pca",
    seed: int = 0,
) -> Tensor:  # (G, 2) float64
    """A place on a plane for every group: what is near does alike things over the inputs.

    Distances between groups are those of their profiles. PCA keeps large distances, t-SNE and UMAP
    neighbours: how far apart their clusters lie, and how large they are, says nothing. On PCA's
    axes the group furthest out is at the positive end; the other two follow rounding, too: they
    are the same for a seed on one machine.

    Raises:
        UserError: for an unknown kind, one that is not installed, or fewer groups than it needs.
    """
    if kind not in MAPS:
        raise UserError(f"unknown map {kind!r}; known: {', '.join(MAPS)}")
    if kind not in maps_at_hand():
        raise UserError(
            "a umap needs umap-learn; get it by: pip install 'frankenstein-stitching[umap]', or "
            "take pca or tsne"
        )
    if len(profiles) < _LEAST[kind]:
        raise UserError(f"a {kind} map needs {_LEAST[kind]} groups or more, got {len(profiles)}")
    points = profiles.double().cpu().numpy()
    if (points == points[0]).all():  # of a network and itself, with one group each
        return torch.zeros(len(points), 2, dtype=torch.float64)
    few = (len(points) - 1) / 3
    makers: dict[str, Any] = {
        "pca": lambda: PCA(2, svd_solver="full"),
        "tsne": lambda: TSNE(
            2, perplexity=min(_PERPLEXITY, few), init="pca", random_state=seed, method="exact"
        ),
        "umap": lambda: _umap(len(points), seed),
    }
    places = torch.as_tensor(makers[kind]().fit_transform(points)).double()
    return places * pointed(places) if kind == "pca" else places


def class_profiles(
    profiles: Tensor,  # (G, N)
    labels: Tensor,  # (N,) int64, or (N, K) of 0 and 1
    num_classes: int,
) -> Tensor:  # (G, K) float64
    """Mean of every group's profile over the images of each class, in standard deviations of units.

    0 is the mean over all images; NaN for a class without images.

    >>> class_profiles(torch.tensor([[1.0, 3.0, -4.0]]), torch.tensor([0, 0, 1]), 2)
    tensor([[ 2., -4.]], dtype=torch.float64)
    """
    if labels.ndim == 1:
        labels = torch.nn.functional.one_hot(labels, num_classes)
    labels = labels.to(profiles.device).double()
    return profiles.double() @ labels / labels.sum(0)


def chance_response(
    profiles: Tensor,  # (G, N)
    labels: Tensor,  # (N,) int64, or (N, K) of 0 and 1
    num_classes: int,
    seed: int = 0,
) -> float:
    """The largest of `class_profiles` once labels are shuffled, in any of 19 shuffles.

    A response above it is chance but once in 20. NaN where there is no group.
    """
    generator = torch.Generator().manual_seed(seed)
    largest = []
    for _ in range(_SHUFFLES if len(profiles) else 0):
        order = torch.randperm(len(labels), generator=generator).to(labels.device)
        largest.append(class_profiles(profiles, labels[order], num_classes).nan_to_num(0).max())
    return float(torch.stack(largest).max()) if largest else math.nan


def _umap(points: int, seed: int) -> Any:
    with warnings.catch_warnings():  # without Tensorflow it warns of a part that is not used here
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP  # the one package that may be missing

    return UMAP(n_neighbors=min(15, points - 1), random_state=seed, init="pca", n_jobs=1)
