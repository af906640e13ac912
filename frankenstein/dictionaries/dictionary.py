"""A sparse autoencoder: what a layer says at a place, as a sum of a few directions out of many."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from frankenstein.errors import UserError, counted
from frankenstein.shapes import ShapeError, num_units, per_location, where_float64_is


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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            draw = torch.randn(features, units)
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
                f"this dictionary is of {counted(self.units, 'unit')}, got a representation of "
                "shape "
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


@torch.no_grad()
def mean_and_scale(
    representations: Iterable[Tensor],  # (N, ...) each
) -> tuple[Tensor, Tensor]:  # (C,), ()
    """The mean of every unit over examples and places, and the root mean square distance from it.

    Less the one and over the other, rows have mean squared length 1: a squared error is then the
    share of variance that is not explained, and one penalty means the same at every layer. The mean
    is taken off because features that point away from it would be dead from the start (Simon et
    al. 2026, https://arxiv.org/abs/2605.31518); one number for all units and examples, and not the
    length of each example as in Gao et al. 2024, so that it can be undone. One pass, sums only.

    Raises:
        UserError: if there are no examples, the layer is constant, or holds NaN or Inf.

    >>> mean, scale = mean_and_scale([torch.tensor([[1.0, 0.0], [5.0, 0.0]])])
    >>> mean.tolist(), scale.item()
    ([3.0, 0.0], 2.0)
    """
    n, shift = 0, torch.zeros(())
    first, second = torch.zeros(()), torch.zeros(())
    for z in representations:
        rows = per_location(where_float64_is(z)).double()
        if n == 0:
            shift = rows.mean(0)
        rows = rows - shift
        n += len(rows)
        first, second = first + rows.sum(0), second + rows.square().sum()
    if n == 0:
        raise UserError("no examples were given; is the data set empty?")
    variance = second / n - (first / n).square().sum()
    if not variance.isfinite():
        raise UserError("NaN or Inf in the representation; look at the network that made it")
    if variance <= 1e-24 * shift.square().sum():  # what rounding leaves of a constant
        raise UserError(
            "the layer is constant over these examples; a dictionary needs one that varies"
        )
    return (shift + first / n).float(), variance.sqrt().float()


# Of the mean length of live encoder rows: a new feature starts small, so as not to disturb the
# others. As long as they are it would take places among the k largest from features that have
# learned, and the error would rise by several times.
_LENGTH = 0.2


@torch.no_grad()
def resample(
    dictionary: Dictionary,
    dead: Tensor,  # (F,) bool
    rows: Tensor,  # (N, D): places as the layer gives them
    optimizer: Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> None:
    """Point dead features at what the others leave of badly rebuilt rows.

    Rows are drawn in proportion to their squared loss. Direction and encoder row become the row's
    residual, the bias 0, and what the optimizer knows of the feature is forgotten.

    Source: Bricken et al. 2023, "Neuron resampling". There the direction is the row itself; the
    residual is what is missing, and what the auxiliary loss of Gao et al. 2024 has dead features
    learn.
    """
    which = dead.nonzero().squeeze(1)
    if len(which) == 0:
        return
    residual = (rows - dictionary(rows)) / dictionary.scale
    weights = residual.square().sum(1).square().double().cpu()
    if weights.sum() == 0:  # nothing is missing
        return
    some = torch.multinomial(weights, len(which), replacement=True, generator=generator)
    new = residual[some.to(rows.device)]
    new = new / new.norm(dim=1, keepdim=True)
    alive = dictionary.encoder[~dead].norm(dim=1)
    length = alive.mean() if len(alive) else dictionary.encoder.new_ones(())
    dictionary.encoder[which] = _LENGTH * length * new
    dictionary.encoder_bias[which] = 0
    dictionary.decoder[:, which] = new.T
    for parameter in (dictionary.encoder, dictionary.encoder_bias):
        _forget(optimizer, parameter, which, 0)
    _forget(optimizer, dictionary.decoder, which, 1)


def _forget(optimizer: Optimizer | None, parameter: Tensor, which: Tensor, axis: int) -> None:
    """Set to 0 what is remembered of these rows or columns: momentum, and squares of gradients."""
    for value in optimizer.state[parameter].values() if optimizer else ():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value.index_fill_(axis, which, 0)
