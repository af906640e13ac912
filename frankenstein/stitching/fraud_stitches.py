"""Stitches from frauds, trained as a plan trains the sender's."""

from collections.abc import Callable

import torch
from torch import nn

from frankenstein.accumulators.moments import Moments
from frankenstein.data import ImageData
from frankenstein.data.seeded import of_step
from frankenstein.stitches import Affine, BatchNormed, Stitch
from frankenstein.stitching.frauds import Fraud
from frankenstein.stitching.pair import StitchingPair
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.recipe import Known, aim_of, solving_of, start_stitch
from frankenstein.surgery import Cut
from frankenstein.surgery.capture import OUTPUT
from frankenstein.surgery.lighten import lighten
from frankenstein.surgery.read import Reader
from frankenstein.tasks import Pass
from frankenstein.tasks.optimizers import make_optimizer, two_cuts

Fit = Callable[[Fraud, Stitch, Known], nn.Module]


def fit_of(
    plan: StitchPlan, pair: StitchingPair, data: ImageData, device: torch.device
) -> Fit | None:
    """Trains a stitch from a fraud with the plan's start, objectives and steps; None without.

    It sees the batches that the sender's stitch sees, epoch by epoch, changed at random alike.
    Unless it starts at its closed form, the fraud's units are put to mean 0 and standard deviation
    1 first: steps of one size go nowhere from units of .004, and such a control would be void.
    """
    if not plan.trained_epochs:
        return None
    receiver, layer = pair.joint.receiver, plan.layers[1]
    aim = aim_of(plan, pair.receiver.module, layer)
    behind = Reader.of_end(receiver.end, [*aim.later, OUTPUT]) if aim.later else None
    light = lighten(receiver)
    nothing = Cut(nn.Identity(), nn.Identity())

    def fit(fraud: Fraud, stitch: Stitch, known: Known) -> nn.Module:
        start_stitch(stitch, plan, known)
        stitch.to(device).train()
        scaled: nn.Module = nn.Identity()
        if plan.init != "ps_inv" and type(stitch) is not BatchNormed:  # which does so itself
            scaled = unit_scale(solving_of(plan).moments(known)).to(device)
        step, each, batches = 0, plan.trained_epochs // len(aim.stages), data.shuffled_batches()
        for stage, objective in enumerate(aim.stages):
            optimizer = make_optimizer(
                plan.optimizer, stitch.parameters(), plan.lr, plan.weight_decay
            )
            schedule = two_cuts(optimizer, each)
            for epoch in range(each):
                batches.set_epoch(stage * each + epoch)
                for number, (images, labels) in enumerate(batches):
                    if plan.debug and number == 3:
                        break
                    if plan.augment:
                        images = data.augment(images, of_step(data.order_seed, step))
                    images, labels = data.prepare(images).to(device), labels.to(device)
                    with torch.no_grad():
                        source = scaled(fraud(images, labels))
                        both = {"source": source, "target": light.front(images)}
                    with torch.enable_grad():
                        now = Pass(both, labels, nothing, stitch, light, nn.Identity(), behind)
                        loss = objective(now)
                        optimizer.zero_grad()
                        loss.backward()
                    optimizer.step()
                    stitch.after_step(optimizer)
                    step += 1
                schedule.step()
        return nn.Sequential(scaled, stitch.eval())

    return fit


@torch.no_grad()
def unit_scale(moments: Moments) -> Affine:
    """The map that gives every source unit mean 0 and standard deviation 1; a dead one is 0."""
    variance = moments.variance("x")
    scale = torch.where(variance > 0, variance, torch.inf).rsqrt()
    units = Affine(len(scale), len(scale))
    return units.approximate(torch.diag(scale), -scale * moments.mean("x"))
