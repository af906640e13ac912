"""A crosscoder: one dictionary of two layers, a place of both as a sum of the same features."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.dictionaries.dictionary import Dictionary

Norm = tuple[Tensor, Tensor]  # mean (D,) and scale () of a layer, as of `mean_and_scale`


class CrosscoderDictionary(nn.Module):
    """Representations of two layers, of D and E units, as sparse sums of the same features.

    Each layer is brought to mean 0 and a variance of 1 in all, so that both count alike, and both
    stand side by side in one dictionary of D + E units.

    Source: Lindsey et al. 2024, https://transformer-circuits.pub/2024/crosscoders.

    >>> norms = [(torch.zeros(3), torch.ones(())), (torch.zeros(2), torch.ones(()))]
    >>> crosscoder = CrosscoderDictionary(Dictionary(3 + 2, features=8, k=2), norms)
    >>> crosscoder.encode(torch.ones(4, 3), torch.ones(4, 2)).shape
    torch.Size([4, 8])
    >>> [tuple(one.shape) for one in crosscoder.decode(torch.ones(4, 8))]
    [(4, 3), (4, 2)]
    """

    def __init__(self, dictionary: Dictionary, norms: Sequence[Norm]) -> None:
        super().__init__()
        self.dictionary = dictionary
        for i, (mean, scale) in enumerate(norms):
            self.register_buffer(f"mean{i}", mean)
            self.register_buffer(f"scale{i}", scale)

    @property
    def norms(self) -> list[Norm]:
        """Of each layer."""
        return [(self.get_buffer(f"mean{i}"), self.get_buffer(f"scale{i}")) for i in range(2)]

    @property
    def units(self) -> list[int]:
        """D and E."""
        return [len(mean) for mean, _ in self.norms]

    @property
    def options(self) -> dict[str, Any]:
        """What its dictionary is made with, and the units of each layer."""
        return {**self.dictionary.options, "units": self.units}

    def encode(
        self,
        x: Tensor,  # (N, D, H, W), (N, T, D) or (N, D)
        y: Tensor,  # the same of E units
    ) -> Tensor:  # the same of features, at least 0
        """How active each feature is at each place of both."""
        return self.dictionary.encode(side_by_side((x, y), self.norms))

    def decode(self, strength: Tensor) -> tuple[Tensor, Tensor]:
        """Both representations that features stand for."""
        both = self.dictionary.decode(strength)
        x, y = (
            part * scale + _of_units(mean, part)
            for part, (mean, scale) in zip(
                both.split(self.units, _axis(both)), self.norms, strict=True
            )
        )
        return x, y


def side_by_side(layers: Sequence[Tensor], norms: Sequence[Norm]) -> Tensor:
    """Units of both layers at every place, each layer less its mean and over its scale."""
    parts = [
        (z - _of_units(mean, z)) / scale.to(z)
        for z, (mean, scale) in zip(layers, norms, strict=True)
    ]
    return torch.cat(parts, _axis(parts[0]))


def _axis(z: Tensor) -> int:
    return 1 if z.ndim == 4 else -1


def _of_units(mean: Tensor, z: Tensor) -> Tensor:
    return (mean[:, None, None] if z.ndim == 4 else mean).to(z)
