"""What becomes of a network when some of its units are silenced, or made from another's units."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from frankenstein.accumulators.moments import Moments
from frankenstein.networks.accuracy import Tally
from frankenstein.stitches import Affine
from frankenstein.surgery import Cut

Edit = Callable[[Tensor | None, Tensor], Tensor]  # (source, target) -> the target changed


def ablate(
    units: Tensor,  # (U,)
    values: Tensor,  # (C,), what every unit is set to: its mean, or 0
) -> Edit:
    """Silence units: each is the same number for all images, at all places.

    The mean takes away what a unit tells and leaves what it is on the whole; 0 takes away both, and
    may bring the network to where no image does.
    """
    return lambda _, target: _with(target, units, values[units])


def transplant(
    of: Tensor,  # (D,) units of the sender
    into: Tensor,  # (E,) units of the receiver
    moments: Moments,  # of source with target, all units
) -> Edit:
    """Replace units of the receiver by an affine map of the sender's: a stitch between groups.

    The map is that of least squares, place by place, solved in closed form (`stitches.Affine`).
    """
    stitch = Affine(len(of), len(into)).solve(moments_between(moments, of, into))
    stitch.requires_grad_(False)

    def edit(source: Tensor | None, target: Tensor) -> Tensor:
        assert source is not None
        part = source.index_select(_axis(source), of.to(source.device))
        return _with(target, into, stitch.to(target)(part).movedim(_axis(target), -1))

    return edit


@torch.no_grad()
def score_edits(
    receiver: Cut,
    edits: Mapping[str, Edit],
    batches: Iterable[tuple[Tensor, Tensor]],
    sender: nn.Module | None = None,  # images to a source that lies like the target
    device: torch.device | str = "cpu",
) -> dict[str, dict[str, float]]:
    """Accuracy, loss and agreement with the whole receiver, for every edit and for "none".

    Each front half runs once a batch, the end half once for every edit.
    """
    tallies = {name: Tally() for name in ("none", *edits)}
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        target = receiver.front(images)
        source = sender(images) if sender else None
        whole = receiver.end(target)
        tallies["none"].update(whole, labels, whole)
        for name, edit in edits.items():
            tallies[name].update(receiver.end(edit(source, target)), labels, whole)
    return {name: tally.means() for name, tally in tallies.items()}


def moments_between(moments: Moments, of: Tensor, into: Tensor) -> Moments:
    """The moments of some units of x with some of y."""
    units = {"x": of, "y": into}

    def some(values: Tensor, *sides: str) -> Tensor:
        for axis, side in enumerate(sides):
            values = values.index_select(axis, units[side].to(values.device))
        return values

    return Moments.of_sums(
        moments.n,
        {side: some(moments.shift[side], side) for side in "xy"},
        {side: some(moments.first[side], side) for side in "xy"},
        {pair: some(moments.second[pair], *pair) for pair in ("xx", "xy", "yy")},
    )


def _axis(z: Tensor) -> int:
    return 1 if z.ndim == 4 else z.ndim - 1


def _with(z: Tensor, units: Tensor, new: Tensor) -> Tensor:  # new: (..., U)
    changed = z.clone()
    changed.movedim(_axis(z), -1)[..., units.to(z.device)] = new.to(z)
    return changed
