"""How like the receiver a stitched representation stays on its way to the answer.

Accuracy orders stitches badly: the end of a network turns much into right answers. So each stitch
is held against the receiver at the cut, at every later key layer, at the penultimate one, which
answers are read from, and at the logits: by R², the share of the target's variance that the
stitched representation explains as it is, and by unbiased CKA, which a rotation does not change.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frankenstein.measures import LayerSimilarities
from frankenstein.shapes import Tokens, per_location, values_of
from frankenstein.surgery import Cut
from frankenstein.surgery.capture import OUTPUT
from frankenstein.surgery.key_layers import later_layers
from frankenstein.surgery.lighten import fold
from frankenstein.surgery.read import Reader

CUT, LOGITS = "cut", "logits"
EXPLAINED, CKA = "explained", "depth_cka"
_MEASURE, _BLOCK = "unbiased_cka", 64


def reader_behind(receiver: nn.Module, layer: str, end: nn.Module) -> nn.Module:
    """An end half that gives every layer that is followed, and the logits as `OUTPUT`."""
    return Reader.of_end(end, [*later_layers(receiver, layer), OUTPUT])


class Explained:
    """R² of two representations from sums: 1 less the squared error over the target's variance.

    1 for the target itself, 0 for its mean, below 0 for what is further away than that. Rows are
    places of examples, the variance is about each unit's mean, and both are summed over units. NaN
    where the target does not vary.
    """

    def __init__(self) -> None:
        self._n, self._error = 0, torch.zeros((), dtype=torch.float64)
        self._shift: Tensor | None = None  # so that a common offset costs no digits

    def update(self, stitched: Tensor, target: Tensor) -> None:
        """Add a batch (N, ...) of both."""
        x, y = per_location(stitched).double(), per_location(target).double()
        if self._shift is None:
            self._shift = y.mean(0)
            self._first, self._squares = torch.zeros_like(self._shift), self._shift.new_zeros(())
            self._error = self._error.to(y.device)
        self._error = self._error + (x - y).square().sum()
        y = y - self._shift
        self._first, self._squares = self._first + y.sum(0), self._squares + y.square().sum()
        self._n += len(y)

    def value(self) -> float:
        """The R² of all that was added."""
        variance = self._squares - self._first.square().sum() / self._n
        if not variance > 1e-12 * self._squares:
            return float("nan")
        return float(1 - self._error / variance)


class Depths:
    """R² and CKA of several stitches at every depth, from sums of one pass."""

    def __init__(self) -> None:
        self._explained: dict[tuple[str, str], Explained] = {}
        self._similar: dict[str, LayerSimilarities] = {}

    def update(
        self,
        stitched: Mapping[str, Mapping[str, Tensor]],  # by row, then by depth
        target: Mapping[str, Tensor],  # by depth
    ) -> None:
        """Add a batch of all."""
        for depth, theirs in target.items():
            ours = {row: layers[depth] for row, layers in stitched.items()}
            for row, z in ours.items():
                self._explained.setdefault((row, depth), Explained()).update(z, theirs)
            if depth not in self._similar:
                rows = "pooled" if isinstance(theirs, Tokens) else "per_sample"
                self._similar[depth] = LayerSimilarities([_MEASURE], rows, _BLOCK)
            self._similar[depth].update(ours, {depth: theirs})

    def scores(self) -> dict[str, float]:
        """By `<what>@<depth>/<row>`; without a depth, those of the penultimate layer."""
        scores: dict[str, float] = {}
        depths = [*self._similar]
        final = next((depth for depth in reversed(depths) if depth != LOGITS), None)
        for depth, similar in self._similar.items():
            values = similar.values()[_MEASURE][:, 0].tolist()
            for row, value in zip(similar.rows, values, strict=True):
                both = {EXPLAINED: self._explained[row, depth].value(), CKA: value}
                scores |= {f"{what}@{depth}/{row}": number for what, number in both.items()}
                if depth == final:
                    scores |= {f"final_{what}/{row}": number for what, number in both.items()}
        return scores


class End:
    """The receiver's end: logits of a representation, and with a reader what lies between."""

    def __init__(self, receiver: Cut, behind: nn.Module | None) -> None:
        self._end = receiver.end
        self._behind = None if behind is None else fold(behind)

    def __call__(self, z: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and every depth with the cut itself; none without a reader."""
        if self._behind is None:
            return self._end(z), {}
        later = self._behind(z)
        logits = later.pop(OUTPUT)
        # A cut at the very end has no layer that answers are read from behind it.
        at_cut = {} if logits is z else {CUT: z}
        return values_of(logits), {**at_cut, **later, LOGITS: logits}
