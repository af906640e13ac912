"""A sparse autoencoder: what a layer says at a place, as a sum of a few directions out of many."""

from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError, num_units


class Dictionary(nn.Module):
    """Representations as sparse sums of unit directions, the same ones at every place.

    With x a place's units, less their mean and over one scale (see `mean_and_scale`):
    f = sparse(W (x - c) + b), and x is rebuilt as c + Σ f_i d_i with |d_i| = 1. Sparse is ReLU,
    made sparse by an L1 penalty in training, or with `k` the k largest (then ReLU), so that k
    features are active wherever as many are positive.

    Source: Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features; for
    TopK Makhzani & Frey 2013, https://arxiv.org/abs/1312.5663, with the ReLU behind it and the
    encoder that starts as the decoder's transpose of Gao et al. 2024,
    https://arxiv.org/abs/2406.04093.

    >>> dictionary = Dictionary(units=4, features=16, k=2)
    >>> dictionary(torch.ones(5, 4, 3, 3)).shape, dictionary.encode(torch.ones(5, 4, 3, 3)).shape
    (torch.Size([5, 4, 3, 3]), torch.Size([5, 16, 3, 3]))
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, units: int, features: int, k: int | None = None, seed: int = 0) -> None:
        super().__init__()
        if features < 1 or not (k is None or 1 <= k <= features):
            raise UserError(
                f"a dictionary has at least one feature and k of them active, got {features} "
                f"features and k {k}; choose 1 <= k <= features"
            )
        self.units, self.features, self.k = units, features, k
        draw = torch.randn(features, units, generator=torch.Generator().manual_seed(seed))
        self.encoder = nn.Parameter(draw / draw.norm(dim=1, keepdim=True))  # W
        self.encoder_bias = nn.Parameter(torch.zeros(features))  # b
        self.decoder = nn.Parameter(self.encoder.detach().T.clone())  # columns are the d_i
        self.decoder_bias = nn.Parameter(torch.zeros(units))  # c
        self.register_buffer("mean", torch.zeros(units))
        self.register_buffer("scale", torch.ones(()))

    @property
    def options(self) -> dict[str, Any]:
        """What its constructor takes, but for the seed of a start."""
        return {"units": self.units, "features": self.features, "k": self.k}

    def encode(
        self,
        z: Tensor,  # (N, D, H, W), (N, T, D) or (N, D)
    ) -> Tensor:  # the same with a feature's strength, at least 0, for each unit
        """How active each feature is at each place."""
        if num_units(z.shape) != self.units:
            raise ShapeError(
                f"this dictionary is of {self.units} units, got a representation of shape "
                f"{tuple(z.shape)}; cut at the layer that it was made for"
            )
        x = (_units_last(z) - self.mean) / self.scale
        strength = nn.functional.linear(x - self.decoder_bias, self.encoder, self.encoder_bias)
        if self.k is not None and self.k < self.features:
            top = strength.topk(self.k, dim=-1)
            strength = torch.zeros_like(strength).scatter(-1, top.indices, top.values)
        return _units_first(strength.relu(), z.ndim)

    def decode(
        self,
        strength: Tensor,  # as `encode` gives it
    ) -> Tensor:
        """The representation that features stand for."""
        x = nn.functional.linear(_units_last(strength), self.decoder, self.decoder_bias)
        return _units_first(self.mean + self.scale * x, strength.ndim)

    def forward(self, z: Tensor) -> Tensor:
        """The reconstruction, in the place of what it reconstructs: `graft(front, this, end)`."""
        return self.decode(self.encode(z))

    @torch.no_grad()
    def before_step(self) -> None:
        """Take out of the gradient what would only change the length of a direction.

        `after_step` would undo that part, and Adam would go on counting it. Source: Bricken et al.
        2023, "Autoencoder optimisation": both together do a little better than the second alone.
        """
        gradient = self.decoder.grad
        if gradient is not None:
            gradient -= self.decoder * (self.decoder * gradient).sum(0)

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring directions back to unit length: else a penalty is met by strengths that shrink."""
        tiny = torch.finfo(self.decoder.dtype).tiny
        self.decoder.div_(self.decoder.norm(dim=0).clamp(min=tiny))


def _units_last(z: Tensor) -> Tensor:
    return z.movedim(1, -1) if z.ndim == 4 else z


def _units_first(z: Tensor, ndim: int) -> Tensor:
    return z.movedim(-1, 1) if ndim == 4 else z
