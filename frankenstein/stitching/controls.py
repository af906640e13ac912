"""Control stitches: what accuracy is reached where the two representations need not be alike."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from frankenstein.data import ImageData
from frankenstein.errors import whose_units
from frankenstein.networks.statistics import counting_images
from frankenstein.report.progress import progress
from frankenstein.stitches import MLP, Affine, BatchNormed, Conv3x3, Identity, Stitch
from frankenstein.stitching.fraud_stitches import Fit, fit_of
from frankenstein.stitching.frauds import FRAUDS, Fraud, frauds_for
from frankenstein.stitching.off_distribution import FLOOR, Reference, ReferenceSums
from frankenstein.stitching.pair import StitchingPair
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.recipe import (
    LEAST_SQUARES,
    Batches,
    Solving,
    anchors_of,
    make_stitch,
    solving_of,
)
from frankenstein.surgery import join
from frankenstein.surgery.lighten import fold

TRAINED = "_trained"  # ends the name of a fraud whose stitch is trained as the sender's is
CONTROLS = (
    *("solved", "solved_ps_inv", "untrained", "untrained_ps_inv", f"untrained{TRAINED}"),
    *(f"{name}{ending}" for name in FRAUDS for ending in ("", TRAINED)),
    *("identity", "itself", "itself_ps_inv"),
)
CONTROL_SEED = 1_000_003  # and on: ones that nobody trains from
SCORED_ON = 1_000  # images at least: controls cost less than the stitches do
_SOLVED_ON = 1_000  # likewise
_SOLVED_AS_AFFINE = (Affine, BatchNormed, Conv3x3, MLP)
_PER_UNIT = 10  # more to solve on where there are many units


class Route(NamedTuple):
    """Where the representation of the images comes from, and what it goes through."""

    source: str  # "sender", "receiver", or one of `Controls.untrained`
    through: nn.Module


@dataclass(frozen=True)
class Controls:
    """Stitches whose scores say what the others' are worth, ready for `evaluate_stitches`."""

    # "untrained", "untrained 2", ...: images to the source of a sender that has learned nothing.
    untrained: Mapping[str, nn.Module]
    routes: Mapping[str, Route]
    reference: Reference  # how the receiver's representations lie on training images
    every: int = 1  # of how many examples one is scored
    frauds: Mapping[str, Fraud] = field(default_factory=dict)  # senders that are no network
    solved_on: int = 0  # training images


def controls_for(
    plan: StitchPlan,
    pair: StitchingPair,
    data: ImageData,
    device: torch.device,
    few: int | None = None,
    floor: float = FLOOR,
) -> Controls:
    """Controls for a plan's stitches between a pair that lies on the device.

    `few` limits the images, and `floor` is that of `off_distribution`. The stitches from untrained
    senders, as many as the plan says, are of its family, rank and seed; so is the solved one. Where
    the plan's own stitch is solved on fewer images than controls are, they have the same few.
    """
    joint, images = pair.joint, counting_images(data, pair.sender.module, pair.looks[0])
    senders = f"untrained sender{'s' * (plan.untrained > 1)}"
    seeds = progress(range(plan.untrained), f"making {plan.untrained} {senders}", plan.quiet)
    twins = (pair.sender.untrained(CONTROL_SEED + k, images) for k in seeds)
    joints = (join(t.module, pair.receiver.module, *plan.layers, plan.flatten) for t in twins)
    all_controls = plan.controls == "all"
    wanted = few or solved_on(joint.source.units, joint.target.units)
    same_few = plan.solve_on is not None and plan.solve_on < wanted
    return solve_controls(
        [one.seeing(*pair.looks).sender.front for one in joints],
        joint.receiver.front,
        joint.align,
        progress(
            data.train_batches(wanted),
            f"solving controls, {plan.untrained} untrained",
            plan.quiet,
        ),
        device,
        every=max(1, data.num_val // SCORED_ON),
        make=partial(make_stitch, plan),
        solving=solving_of(plan),
        frauds=frauds_for(plan, pair, data, device) if all_controls else None,
        fit=fit_of(plan, pair, data, device) if all_controls else None,
        sender=joint.sender.front,
        floor=floor,
        anchors=anchors_of(plan, data),
        solving_batches=data.train_batches(plan.solve_on, plan.seed) if same_few else None,
    )


def solved_on(*units: int) -> int:
    """How many training images controls between so many units are solved on."""
    return max(_SOLVED_ON, _PER_UNIT * max(units))


@torch.no_grad()
def solve_controls(
    untrained: nn.Module | Sequence[nn.Module],
    receiver: nn.Module,
    align: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
    every: int = 1,
    make: Callable[[int, int], Stitch] = Affine,
    solving: Solving = LEAST_SQUARES,
    frauds: Mapping[str, Fraud] | None = None,
    fit: Fit | None = None,
    sender: nn.Module | None = None,
    floor: float = FLOOR,
    anchors: Batches = (),
    solving_batches: Batches | None = None,
) -> Controls:
    """Controls from one pass over training examples, to be scored on one example in `every`.

    `untrained`, `receiver` and `sender` are fronts: images to a representation. `align` lays the
    source like the target (see `surgery.join`); everything lies on `device`, in evaluation mode.
    `floor` is that of `off_distribution`; `anchors` are those of a relative stitch. Stitches are
    solved on `solving_batches`, on `batches` if there are none; the reference is of `batches`.

    - "solved": a stitch of the family that `make` makes, as `solving` says; only if a `sender` is
      given;
    - "solved_ps_inv": least squares from there; absent where the family is the affine one, whose
      closed form this is, or one that is solved as it is;
    - "untrained", "untrained_ps_inv": the same from the same layer of a sender with random weights,
      on the same images; of a second one "untrained 2" and so on;
    - "class_noise" and other `frauds`: the same from what only looks like a sender, and with `fit`
      "class_noise_trained", likewise trained, as is "untrained_trained" from the first of those;
    - "identity": the source as it is, where the sender has as many units as the receiver;
    - "itself": the receiver's own representation as it is, which must change nothing;
    - "itself_ps_inv": least squares from it to itself, which should not change much.
    """
    twins = [untrained] if isinstance(untrained, nn.Module) else untrained
    fronts = {f"untrained {k}" if k > 1 else "untrained": one for k, one in enumerate(twins, 1)}
    sources = {name: fold(front) for name, front in fronts.items()}
    sources |= {} if sender is None else {"sender": fold(sender)}
    target_of, reference = fold(receiver), ReferenceSums()
    frauds = frauds or {}
    rows = {name: solving.sums() for name in (*sources, *frauds)}
    count = 0

    def add(images: Tensor, labels: Tensor, target: Tensor) -> None:
        for name, front in sources.items():
            rows[name].update(align(front(images)), target)
        for name, fraud in frauds.items():
            rows[name].update(fraud(images, labels.to(device)), target)

    for images, labels in anchors:
        add(images := images.to(device), labels, target_of(images))
    for images, labels in solving_batches or ():
        add(images := images.to(device), labels, target_of(images))
        count += len(images)
    for images, labels in batches:
        reference.update(target := target_of(images := images.to(device)))
        if solving_batches is None:
            add(images, labels, target)
            count += len(images)
    known = {name: solving.known(kept) for name, kept in rows.items()}
    first = solving.moments(known["untrained"])
    d, e = len(first.mean("x")), len(first.mean("y"))

    def laid(stitch: Stitch) -> nn.Module:
        return nn.Sequential(align, stitch).to(device)

    routes = {}
    if fit is not None:  # one of the untrained, likewise trained
        source = nn.Sequential(sources["untrained"], align)
        fitted = fit(lambda images, _: source(images), make(d, e), known["untrained"])
        routes[f"untrained{TRAINED}"] = Route("untrained", nn.Sequential(align, fitted))
    for name, fraud in frauds.items():
        units = len(solving.moments(known[name]).mean("x")), e
        with whose_units(x=f"the control `{name}`"):
            routes[name] = Route(name, solving(make(*units), known[name]).to(device))
        if fit is not None:
            fitted = fit(fraud, make(*units), known[name])
            routes[f"{name}{TRAINED}"] = Route(name, fitted)
    for name, sums in known.items():
        if name in frauds:
            continue
        row = name.replace("sender", "solved")
        with whose_units(**({} if name == "sender" else {"x": f"the control `{name}`"})):
            routes[row] = Route(name, laid(stitch := solving(make(d, e), sums)))
        if type(stitch) not in _SOLVED_AS_AFFINE or solving.ridge:
            least_squares = row.replace("untrained", "untrained_ps_inv")
            least_squares = least_squares.replace("solved", "solved_ps_inv")
            routes[least_squares] = Route(name, laid(solving.least_squares(Affine(d, e), sums)))
    with whose_units(x="the receiver"):
        itself = solving.put_right(Affine(e, e).solve(own := first.of_side("y")), own)
    routes["itself"] = Route("receiver", Identity(e, e).to(device))
    routes["itself_ps_inv"] = Route("receiver", itself.to(device))
    if d == e:
        routes["identity"] = Route("sender", laid(Identity(d, e)))
    return Controls(fronts, routes, reference.solve(floor), every, frauds, count)
