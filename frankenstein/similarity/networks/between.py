"""How alike several networks are: one pass of each, whatever the number of pairs."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations_with_replacement
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.activations import Activations, activations_of
from frankenstein.catalog import MEASURES
from frankenstein.data import ImageData
from frankenstein.data.loaders import check_batches
from frankenstein.errors import UserError
from frankenstein.measures.network_similarities import NetworkSimilarities
from frankenstein.networks.network import Network
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.shapes import num_units
from frankenstein.similarity.matrices import Order, in_blocks, peek, reader_of
from frankenstein.similarity.networks.matching import label_of, matching_layers, same_layers
from frankenstein.similarity.shown import Shown, Side, shown_to
from frankenstein.surgery.read import Read, Wanted

_DISTANCE = "angular_shape_distance"
_OF_CACHE = 64  # inputs; a Tiny-10 on 32 x 32 pixels then takes a seventh less time than with 250
_ACROSS = 2**28  # numbers in the sums of all layers with all, of which half are made: 1 GB


@dataclass(frozen=True)
class Between:
    """Values of measures between several networks, at layers that stand for each other."""

    networks: tuple[str, ...]  # K
    layers: tuple[str, ...]  # L, as `matching_layers` calls them
    values: Mapping[str, Tensor]  # by measure: (K, K, L) float64
    # Of networks with the same layers: (K, K, L, L), layers of the first down; NaN of one network
    # with itself, but for its layers each with itself.
    across: Mapping[str, Tensor]
    flattenings: Mapping[str, str]
    examples: Mapping[str, int]  # by measure
    block: int | None  # examples that a Gram matrix spans, where there are any

    def matrix(self, measure: str, layer: str | None = None) -> LabelledMatrix:
        """Network against network, at a layer; the mean over layers if none is named.

        Raises:
            KeyError: for another measure or layer.
        """
        values = self.values[measure]
        if layer is not None and layer not in self.layers:
            raise KeyError(f"no layer {layer!r}; known: {', '.join(self.layers)}")
        at = values.mean(2) if layer is None else values[:, :, self.layers.index(layer)]
        return self._labelled(measure, at, self.networks)

    def mean_over_pairs(self, measure: str) -> LabelledMatrix:
        """Layer against layer: the mean over all ordered pairs of two networks."""
        return self._labelled(measure, self.of_pairs(measure).mean(0), self.layers)

    def spread_over_pairs(self, measure: str) -> LabelledMatrix:
        """Layer against layer: the root mean square distance of pairs from their mean."""
        spread = self.of_pairs(measure).std(0, correction=0)
        return self._labelled(measure, spread, self.layers)

    def of_pairs(self, measure: str) -> Tensor:  # (K (K - 1), L, L)
        """Layer against layer of every ordered pair of two networks.

        Raises:
            UserError: if the networks have other layers.
        """
        if measure not in self.across:
            raise UserError(
                "layers against layers of many pairs are of networks with the same layers, few "
                "enough to be summed with each other; take networks of one architecture, or name "
                "fewer layers"
            )
        return self.across[measure][~torch.eye(len(self.networks), dtype=torch.bool)]

    def _labelled(self, measure: str, values: Tensor, names: tuple[str, ...]) -> LabelledMatrix:
        by_blocks = self.block if MEASURES[measure].from_grams else None
        told = self.flattenings[measure], self.examples[measure], by_blocks
        return LabelledMatrix(values, names, names, measure, *told)


def similarity_between(
    networks: Mapping[str, Any] | Sequence[Any],
    batches: Iterable[Any] | ImageData | None = None,
    measures: str | Sequence[str] = _DISTANCE,
    layers: Wanted | Mapping[str, Wanted] | None = None,
    flattening: str | None = None,
    block: int | None = None,
    limit: int = 2000,
    device: torch.device | str | None = None,
) -> Between:
    """Measures, by name, between every two of several networks, each of which runs once.

    Networks, data, layers and all else are as in `similarity_matrix`, whose value every cell is.
    `layers` are the same words for all networks, or words by network. Networks come by name, or in
    a list: then they are called by their roles, or "1", "2" and so on. Which layers are held
    against each other `matching_layers` says; of networks with the same layers all pairs of layers
    are, too (`mean_over_pairs`, `spread_over_pairs`).

    Raises:
        LayerError: for a layer that a network does not have, or that is not one tensor.
        UserError: for fewer than two networks, layers that do not match, an unknown measure, a
            batch without an input, or NaN or Inf in a layer.

    >>> from torch.nn import Linear, ReLU, Sequential
    >>> three = [Sequential(Linear(3, 8), ReLU(), Linear(8, 2)) for _ in range(3)]
    >>> found = similarity_between(three, [torch.randn(20, 3)], layers=["1", "2"])
    >>> found.networks, found.layers, found.matrix("angular_shape_distance", "1").values.shape
    (('1', '2', '3'), ('1', '2'), torch.Size([3, 3]))
    """
    wanted = layers if isinstance(layers, Mapping) else dict.fromkeys(_named(networks), layers)
    sides = {name: _side(one, name, wanted.get(name)) for name, one in _named(networks).items()}
    if len(sides) < 2:
        raise UserError(f"it takes two networks or more to compare, got {len(sides)}")
    shown = shown_to(list(sides.values()), batches)
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(reader_of(side, wanted.get(name), shown, device))
            for name, side in sides.items()
        }
        names = [measures] if isinstance(measures, str) else list(measures)
        home = device or _home(sides)
        kept = read_networks(readers, shown, names, flattening, block, limit, device=home)
    return between(kept)


@torch.no_grad()
def read_networks(
    readers: Mapping[str, Read],
    shown: Shown,
    measures: Sequence[str],
    flattening: str | None = None,
    block: int | None = None,
    limit: int = 2000,
    keep: bool = False,
    device: torch.device | str | None = None,
) -> NetworkSimilarities:
    """One pass of every network over the inputs, and what it keeps of them.

    A layer is let go as soon as it is summed; of networks with the same layers all layers meet, of
    others those that match. `keep` is that of `NetworkSimilarities`, `device` where networks are.
    """

    def made(size: int) -> NetworkSimilarities:
        return NetworkSimilarities(measures, flattening, size, limit, lambda key: group(key), keep)

    @cache
    def group(key: tuple[str, str]) -> str | tuple[str, str] | None:
        return None if meet_everywhere(kept) else label_of(kept.layers, key)

    check_batches(shown.batches)
    padded, batches = peek(shown.batches, shown.padded)
    if padded:
        raise UserError(
            "sentences of several lengths are compared for two networks at a time; give two, or "
            "sentences of one length"
        )
    kept = made(64)  # first: it says what is wrong
    from_grams = any(kept.kind(measure) == "grams" for measure in kept.flattenings)
    size, inputs_of_all = in_blocks(
        batches, (block or shown.block) if from_grams else 1, _at_once(device)
    )
    kept, order = made(max(4, size)), Order(size)
    for inputs in inputs_of_all:
        if kept.needs_inputs and not isinstance(inputs, Tensor):
            raise UserError(
                "deconfounded_cka takes out what inputs explain, and these are several tensors; "
                "take another measure"
            )
        quantities = isinstance(inputs, Tensor) and inputs.is_floating_point()
        if from_grams and quantities and inputs.numel():
            order.update(inputs)
        for name, read in readers.items():
            layers = read(inputs, partial(kept.fold, name))
            kept.take(name, layers, inputs if kept.needs_inputs else None)
        kept.end()
    order.check()
    return kept


def _at_once(device: torch.device | str | None) -> int | None:
    """Inputs that are read at once: on a CPU few, so that its cache holds what they become."""
    return _OF_CACHE if device is None or torch.device(device).type == "cpu" else None


def _home(sides: Mapping[str, Side]) -> torch.device | None:
    """Where the first network is."""
    modules = (one.module if isinstance(one, Network) else one for one in sides.values())
    weights = (p for one in modules if isinstance(one, nn.Module) for p in one.parameters())
    return next((p.device for p in weights), None)


def meet_everywhere(kept: NetworkSimilarities) -> bool:
    """Whether every layer is held against every layer, and not the matching ones alone.

    They are if all networks have the same, and sums over all of them take a gigabyte at most.
    """
    widths = [
        math.prod(shape) if flattening == "per_sample" else num_units((1, *shape))
        for shapes in kept.shapes.values()
        for shape in shapes.values()
        for flattening in [_widest(kept)]
    ]
    fits = _widest(kept) is None or sum(widths) ** 2 <= _ACROSS
    return same_layers(kept.layers) and fits


def _widest(kept: NetworkSimilarities) -> str | None:
    """The flattening of sums that has the most units; None if there are no sums."""
    summed = [m for m in kept.flattenings if kept.kind(m) in ("moments", "folds")]
    flattenings = {kept.flattenings[measure] for measure in summed}
    return max(flattenings, key=lambda one: one == "per_sample", default=None)


def between(
    kept: NetworkSimilarities,
    pairs: Callable[[list[Any]], Iterable[Any]] = iter,
    across: bool = True,
) -> Between:
    """Every value that what was kept holds; `pairs` may follow them, as a progress bar does.

    Without `across` only layers that match are held against each other.

    Raises:
        UserError: if there were no examples, or NaN or Inf in the layer that is named.
    """
    if not kept.n:
        raise UserError("no examples were given; is the data set empty?")
    labels, names = matching_layers(kept.layers), tuple(kept.layers)
    same, count = across and meet_everywhere(kept), len(labels)
    of = {name: [labels[label][name] for label in labels] for name in names}
    matrices = {
        measure: torch.full((len(names), len(names), count, count), torch.nan, dtype=torch.float64)
        for measure in kept.flattenings
    }
    numbers = list(combinations_with_replacement(range(len(names)), 2))
    for i, j in pairs(numbers):
        for measure, whole in matrices.items():
            for one, other in dict.fromkeys([(i, j), (j, i)]):
                if one > other and MEASURES[measure].symmetric:
                    whole[one, other] = whole[other, one].T
                elif same and one != other:
                    rows, columns = of[names[one]], of[names[other]]
                    whole[one, other] = kept.matrix(
                        measure, names[one], names[other], rows, columns
                    )
                else:
                    for place, label in enumerate(labels):
                        whole[one, other, place, place] = kept.matrix(
                            measure,
                            names[one],
                            names[other],
                            [labels[label][names[one]]],
                            [labels[label][names[other]]],
                        )[0, 0]
    values = {m: whole.diagonal(dim1=2, dim2=3).clone() for m, whole in matrices.items()}
    _warn(kept, values, labels)
    grams = any(kept.kind(measure) == "grams" for measure in matrices)
    return Between(
        names,
        tuple(labels),
        values,
        matrices if same else {},
        dict(kept.flattenings),
        {measure: kept.examples(measure) for measure in matrices},
        kept.block if grams else None,
    )


def _warn(
    kept: NetworkSimilarities,
    values: Mapping[str, Tensor],
    labels: Mapping[str, Mapping[str, str]],
) -> None:
    names, layers = tuple(kept.layers), list(labels.values())
    for measure, found in values.items():
        lost = [
            ((names[i], layers[place][names[i]]), (names[j], layers[place][names[j]]))
            for i, j, place in found.isnan().nonzero().tolist()
        ]
        kept.warn_undefined(measure, lost, found.numel())


def _named(networks: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """Networks by name."""
    if isinstance(networks, Mapping):
        return {str(name): one for name, one in networks.items()}
    roles = [one.role for one in networks if isinstance(one, Network)]
    if len(set(roles)) == len(networks):
        return dict(zip(roles, networks, strict=True))
    return {str(i): one for i, one in enumerate(networks, start=1)}


def _side(given: Any, name: str, layers: Wanted | None) -> Side:
    found = None if isinstance(given, nn.Module | Network) else activations_of(given, name)
    if found is None and not isinstance(given, nn.Module | Network | Activations):
        raise UserError(
            f"{name} is a {type(given).__name__}; give modules, networks of open_network, arrays "
            "or {layer: array}, by name or in a list"
        )
    return given if found is None else found.of(layers)
