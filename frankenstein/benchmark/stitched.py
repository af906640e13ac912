"""Stitching penalties between all networks of a test: by least squares, and for each objective.

The penalty is the error of front, stitch and end together, less the receiver's own (Bansal et al.
2021, https://arxiv.org/abs/2106.07682); both on held-out images. Stitches are made on training
images, with their true labels.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.benchmark.readings import Readings, Rows
from frankenstein.catalog import OBJECTIVES
from frankenstein.runs.schema import options_of
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.recipe import Aim
from frankenstein.surgery import Cut
from frankenstein.surgery.capture import OUTPUT
from frankenstein.surgery.read import Reader
from frankenstein.tasks import Objective, Pass

_STEPS, _LR, _BATCH = 150, 1e-3, 128  # of Adam, from the least squares on


def stitches_of(later: Sequence[str]) -> list[str]:
    """Rows of stitches into a layer, by the layers behind it that an objective could follow.

    Behind the penultimate layer there are none: the others ask for what direct matching asks for.
    """
    trained = [name for name, row in OBJECTIVES.items() if later or row.follows == "nothing"]
    return [f"stitch_{name}" for name in sorted(trained, key=lambda name: name != "direct")]


def stitch_values(readings: Readings, sources: Mapping[str, Rows]) -> Tensor:  # (O, S, K)
    """Minus the penalty of each source in front of each network's end: 0 is as good as its own.

    NaN where the end takes no rows of units, which a stitch of rows would be for.
    """
    names, count, rows = [*readings.rows], len(sources), stitches_of(readings.later)
    values = torch.full((len(rows), count, len(names)), torch.nan, dtype=torch.float64)
    fit = [one.fit for one in sources.values()]
    if any(z.ndim != 2 for z in (*fit, *(one.fit for one in readings.rows.values()))):
        return values
    targets = [readings.rows[name].fit for name in names]
    solved = least_squares(torch.stack(fit), targets)
    sources_fit = torch.stack(fit)
    sources_held = torch.stack([one.held for one in sources.values()])
    for k, name in enumerate(names):
        end = readings.ends[name].cpu()
        own = (readings.logits[name].argmax(1) == readings.labels).double().mean()
        for i, row in enumerate(rows):
            weight, bias = solved[k]
            if row != "stitch_direct":
                aim = aim_at(row.removeprefix("stitch_"), readings.later)
                known = (sources_fit, targets[k], readings.fit_labels)
                weight, bias = fit_objective(aim, end, *known, weight, bias)
            right = _accuracies(end, sources_held, readings.labels, weight, bias)
            values[i, :, k] = right - own
    return values


def least_squares(
    sources: Tensor,  # (S, n, D)
    targets: list[Tensor],  # K times (n, E)
) -> list[tuple[Tensor, Tensor]]:  # K times (S, D, E) and (S, 1, E)
    """Direct matching: of every source onto every target, of minimum norm where many solve it.

    Source: Csiszárik et al. 2021, https://arxiv.org/abs/2110.14633.
    """
    means = sources.double().mean(1, keepdim=True)
    inverse = torch.linalg.pinv(sources.double() - means)  # (S, D, n)
    found = []
    for target in targets:
        mean = target.double().mean(0)
        weight = inverse @ (target.double() - mean)
        found.append((weight.float(), (mean - means @ weight).float()))
    return found


def aim_at(objective: str, later: Sequence[str]) -> Aim:
    """An objective by name, as `stitch --objective` makes it, and the layers that it follows."""
    row = OBJECTIVES[objective]
    followed = {"nothing": (), "penultimate": later[-1:], "later": later}[row.follows]
    options, own = options_of(StitchPlan), set(row.fields) - {"align_layers"}
    fields: dict[str, Any] = {name: options[name].default for name in own}
    made: Objective = row(**fields, **({"later": followed} if followed else {}))
    return Aim((made,), tuple(followed))


def fit_objective(
    aim: Aim,
    end: nn.Module,
    sources: Tensor,  # (S, n, D)
    target: Tensor,  # (n, E)
    labels: Tensor,  # (n,)
    weight: Tensor,  # (S, D, E), to begin with
    bias: Tensor,  # (S, 1, E)
) -> tuple[Tensor, Tensor]:
    """Stitches of all sources side by side into one end: each is trained as if alone."""
    weight, bias = (z.clone().requires_grad_() for z in (weight, bias))
    optimizer = torch.optim.Adam([weight, bias], _LR)
    draw = torch.Generator().manual_seed(0)
    behind = Reader.of_end(end, [*aim.later, OUTPUT]) if aim.later else None
    several = len(sources)
    nothing, receiver = Cut(nn.Identity(), nn.Identity()), Cut(nn.Identity(), end)
    with torch.enable_grad():
        for _ in range(_STEPS):
            some = torch.randint(len(labels), (_BATCH,), generator=draw)
            known = {
                "stitched": torch.baddbmm(bias, sources[:, some], weight).flatten(0, 1),
                "target": target[some].repeat(several, 1),
            }
            now = Pass(
                known, labels[some].repeat(several), nothing, nn.Identity(), receiver, behind=behind
            )
            # A sum over sources: none takes a smaller step for having company.
            optimizer.zero_grad()
            (aim.stages[0](now) * several).backward()
            optimizer.step()
    return weight.detach(), bias.detach()


@torch.no_grad()
def _accuracies(
    end: nn.Module, sources: Tensor, labels: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:  # (S,)
    right = _through(end, sources, weight, bias).argmax(-1) == labels
    return right.double().mean(1)


def _through(
    end: Callable[[Tensor], Tensor], sources: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:  # (S, n, classes)
    stitched = torch.baddbmm(bias, sources, weight)
    return end(stitched.flatten(0, 1)).unflatten(0, stitched.shape[:2])
