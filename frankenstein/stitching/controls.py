"""What a stitch is held against: how far would it come without the likeness it is to show?"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.shapes import per_location
from frankenstein.stitches import Affine, Identity, Stitch
from frankenstein.stitching.off_distribution import FLOOR, Typical
from frankenstein.surgery.fold import fold

CONTROLS = ("solved", "identity", "untrained", "untrained_ps_inv", "itself", "itself_ps_inv")
Route = tuple[str, nn.Module]  # whose representation of the images, and what it goes through


@dataclass(frozen=True)
class Controls:
    """Stitches whose scores say what the others' are worth, ready for `evaluate_stitches`."""

    untrained: nn.Module  # images to the source of a sender that has learned nothing
    routes: Mapping[str, Route]  # of the sender, the receiver or the untrained
    typical: Typical  # how the receiver's representations lie on training images
    every: int = 1  # of how many examples one is scored


@torch.no_grad()
def solve_controls(
    untrained: nn.Module,
    receiver: nn.Module,
    align: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
    every: int = 1,
    make: Callable[[int, int], Stitch] = Affine,
    sender: nn.Module | None = None,
    floor: float = FLOOR,
) -> Controls:
    """Controls from one pass over training examples, to be scored on one example in `every`.

    `untrained`, `receiver` and `sender` are fronts: images to a representation. `align` lays the
    source like the target (see `surgery.join`); everything lies on `device`, in evaluation mode.
    `floor` is that of `compare.outside`.

    - "solved": a stitch of the family that `make` makes, in its closed form: what one of that
      family that is trained should reach; only if a `sender` is given;
    - "identity": the source as it is, where the sender has as many units as the receiver;
    - "untrained": a stitch of the family that `make` makes, in its closed form, from the same layer
      of a sender with random weights: the control of stitches of that family and rank;
    - "untrained_ps_inv": least squares from there, the control of `ps_inv`; absent where the family
      is the affine one, whose closed form this is;
    - "itself": the receiver's own representation as it is, which must change nothing;
    - "itself_ps_inv": least squares from it to itself, which should.
    """
    rows, own, typical = AdaptiveMoments(per_location), AdaptiveMoments(per_location), Typical()
    fronts = fold(untrained), fold(receiver)
    trained = None if sender is None else fold(sender)
    for images, _ in batches:
        images = images.to(device)
        source, target = (front(images) for front in fronts)
        rows.update(align(source), target)
        if trained is not None:
            own.update(align(trained(images)), target)
        typical.update(target)
    moments = rows.frozen()
    d, e = len(moments.mean("x")), len(moments.mean("y"))
    solved = {"untrained": make(d, e).solve(moments)}
    if type(solved["untrained"]) is not Affine:
        solved["untrained_ps_inv"] = Affine(d, e).solve(moments)
    routes: dict[str, Route] = {
        **{
            name: ("untrained", nn.Sequential(align, stitch).to(device))
            for name, stitch in solved.items()
        },
        "itself": ("receiver", Identity(e, e).to(device)),
        "itself_ps_inv": ("receiver", Affine(e, e).solve(moments.of_side("y")).to(device)),
    }
    if sender is not None:
        routes["solved"] = (
            "sender",
            nn.Sequential(align, make(d, e).solve(own.frozen())).to(device),
        )
    if d == e:
        routes["identity"] = ("sender", nn.Sequential(align, Identity(d, e).to(device)))
    return Controls(untrained, routes, typical.solve(floor), every)
