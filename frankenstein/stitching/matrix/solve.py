"""Every layer of one network stitched to every layer of another, all together."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.catalog import MEASURES
from frankenstein.data.loaders import check_batches
from frankenstein.errors import UserError
from frankenstein.labels import decisions, hits
from frankenstein.shapes import ShapeError
from frankenstein.stitches import Affine, Stitch
from frankenstein.stitching.matrix.pair_moments import PairMoments
from frankenstein.surgery.layer_set import LayerSet, layer_set
from frankenstein.surgery.lighten import overwriting

Pair = tuple[str, str]  # layer of the sender, layer of the receiver
Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class StitchingMatrix:
    """What became of every stitch, by (sender layer, receiver layer)."""

    rows: tuple[str, ...]  # layers of the sender
    columns: tuple[str, ...]  # layers of the receiver
    accuracy: dict[Pair, float]  # of the grafted network
    agreement: dict[Pair, float]  # share of its predictions that are the receiver's
    sender: float  # accuracy of each network by itself
    receiver: float
    measures: dict[str, dict[Pair, float]] = field(default_factory=dict)
    refused: dict[Pair, str] = field(default_factory=dict)  # pairs without a stitch, and why

    def table(self, cells: Mapping[Pair, float]) -> Tensor:  # (L, M), NaN where there is no stitch
        """Cells as a matrix, such as `table(matrix.accuracy)`."""
        return torch.tensor(
            [[cells.get((row, column), torch.nan) for column in self.columns] for row in self.rows],
            dtype=torch.float64,
        )


def stitching_matrix(
    sender: nn.Module,
    receiver: nn.Module,
    solve_batches: Batches,
    score_batches: Batches,
    sender_layers: Sequence[str] | None = None,
    receiver_layers: Sequence[str] | None = None,
    make: Callable[[int, int], Stitch] = Affine,
    measures: Sequence[str] = ("linear_cka",),
    device: torch.device | str = "cpu",
) -> StitchingMatrix:
    """Accuracy of every stitch by direct matching: one pass to solve all, one to score all.

    Layers are `key_layers` by default; sources are resized to their target's grid. `measures`
    compare source with target, place by place, over the examples that the stitches are solved on.
    Batches of 16 to 128 small images are the fastest on a CPU. Both networks lie on
    `device`, are frozen and put into evaluation mode.

    Raises:
        LayerError: for a layer after which a network cannot be cut.
        UserError: if no pair of layers can be stitched.
    """
    check_batches(solve_batches)
    check_batches(score_batches)
    ours, theirs = layer_set(sender, sender_layers), layer_set(receiver, receiver_layers)
    ours, theirs = ours.folded(), theirs.folded()
    moments = pair_moments(ours, theirs, solve_batches, device)
    stitches, refused = make_stitches(ours, theirs, moments, make)
    for pair, stitch in stitches.items():
        stitch.to(device).solve(moments.moments(*pair))
    matrix = score_stitches(ours, theirs, moments, stitches, score_batches, device)
    similar = measure_pairs(moments, stitches, measures)
    return StitchingMatrix(**{**vars(matrix), "measures": similar, "refused": refused})


@torch.inference_mode()
def pair_moments(
    sender: LayerSet, receiver: LayerSet, batches: Batches, device: torch.device | str = "cpu"
) -> PairMoments:
    """The moments of all pairs of layers: one pass, in which each network runs once a batch."""
    moments = PairMoments(sender.layouts, receiver.layouts, device)
    for images, labels in batches:
        images = images.to(device)
        classes = labels.to(device) if labels.ndim == 1 else None
        moments.update(sender.read(images), receiver.read(images), classes)
    return moments


def make_stitches(
    sender: LayerSet, receiver: LayerSet, moments: PairMoments, make: Callable[[int, int], Stitch]
) -> tuple[dict[Pair, Stitch], dict[Pair, str]]:
    """A stitch for every pair that can have one, and why the others have none.

    Raises:
        UserError: if none can.
    """
    stitches: dict[Pair, Stitch] = {}
    refused: dict[Pair, str] = {}
    for s in sender.names:
        for t in receiver.names:
            try:
                moments.lay(s, t)
                stitches[s, t] = make(sender.layouts[s].units, receiver.layouts[t].units)
            except UserError as error:
                refused[s, t] = str(error)
    if not stitches:
        raise UserError(f"no pair of layers can be stitched: {next(iter(refused.values()))}")
    return stitches, refused


@torch.inference_mode()
def score_stitches(
    sender: LayerSet,
    receiver: LayerSet,
    moments: PairMoments,  # of these layers, whether they have seen examples or not
    stitches: Mapping[Pair, Stitch],
    batches: Batches,
    device: torch.device | str = "cpu",
) -> StitchingMatrix:
    """Accuracy and agreement of all stitches: one pass, in which the sender runs once a batch.

    Only the receiver's end half runs for each stitch.
    """
    correct: dict[str | Pair, Any] = defaultdict(int)
    agreeing: dict[Pair, Any] = defaultdict(int)
    n = 0
    ends = {t: overwriting(end) for t, end in receiver.ends.items()}  # of what is made for them
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        sources, targets = sender.read(images), receiver.read(images)
        whole = receiver.logits(targets)
        reference = decisions(whole, labels)
        # Sums of 0/1 in int64 tensors: nothing waits for a device until the end.
        right = hits(sender.logits(sources), labels)
        n += right.numel()
        correct["sender"] += right.sum()
        correct["receiver"] += hits(whole, labels).sum()
        for s, source in sources.items():
            laid: dict[nn.Module, Any] = {}  # a source is laid once on each grid
            for t in receiver.names:
                if (s, t) not in stitches:
                    continue
                stitch, lay = stitches[s, t], moments.lay(s, t)
                # Affine maps commute with a resize, and the step that makes more goes last.
                if stitch.affine and moments.widens(s, t):
                    stitched = lay(stitch(source))
                else:
                    if lay not in laid:
                        laid[lay] = lay(source)
                    stitched = stitch(laid[lay])
                if any(stitched is kept for kept in (source, laid.get(lay))):
                    stitched = stitched.clone()
                logits = ends[t](stitched)
                correct[s, t] += hits(logits, labels).sum()
                agreeing[s, t] += hits(logits, reference).sum()
    if n == 0:
        raise UserError("no examples were given to score; is the data set empty?")
    return StitchingMatrix(
        sender.names,
        receiver.names,
        {pair: int(correct[pair]) / n for pair in stitches},
        {pair: int(agreeing[pair]) / n for pair in stitches},
        int(correct["sender"]) / n,
        int(correct["receiver"]) / n,
    )


def measure_pairs(
    moments: PairMoments, pairs: Iterable[Pair], measures: Sequence[str]
) -> dict[str, dict[Pair, float]]:
    """Source against target by each measure; pairs that it does not apply to are left out.

    Raises:
        UserError: for a measure that does not follow from them, such as unbiased CKA.
    """
    for measure in measures:
        if not MEASURES[measure].from_second_moments:
            raise UserError(
                f"{measure} needs more than the sums that a matrix of stitches makes; "
                "take linear_cka, or similarity_matrix"
            )
    values: dict[str, dict[Pair, float]] = {measure: {} for measure in measures}
    for pair in pairs:
        both = moments.moments(*pair)
        for measure in measures:
            by_class = MEASURES[measure].needs == "classes"
            kept = moments.within(*pair) if by_class else both
            with suppress(ShapeError):  # of unit by unit, where the numbers of units differ
                values[measure][pair] = float(MEASURES[measure](kept))
    return values
