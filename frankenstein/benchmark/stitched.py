"""Stitching penalties between all networks of a test: by least squares, and for the task.

The penalty is the error of front, stitch and end together, less the receiver's own (Bansal et al.
2021, https://arxiv.org/abs/2106.07682); both on held-out images. Stitches are made on training
images, with their true labels.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from frankenstein.benchmark.readings import Readings, Rows
from frankenstein.labels import label_loss

STITCHES = ("stitch_direct", "stitch_task")
_STEPS, _LR, _BATCH = 150, 1e-3, 128  # of Adam, from the least squares on


def stitch_values(readings: Readings, sources: Mapping[str, Rows]) -> Tensor:  # (2, S, K)
    """Minus the penalty of each source in front of each network's end: 0 is as good as its own.

    NaN where the end takes no rows of units, which a stitch of rows would be for.
    """
    names, count = [*readings.rows], len(sources)
    values = torch.full((len(STITCHES), count, len(names)), torch.nan, dtype=torch.float64)
    fit = [rows.fit for rows in sources.values()]
    if any(z.ndim != 2 for z in (*fit, *(rows.fit for rows in readings.rows.values()))):
        return values
    solved = least_squares(torch.stack(fit), [readings.rows[name].fit for name in names])
    sources_fit = torch.stack(fit)
    sources_held = torch.stack([rows.held for rows in sources.values()])
    for k, name in enumerate(names):
        end = readings.ends[name].cpu()
        own = (readings.logits[name].argmax(1) == readings.labels).double().mean()
        weight, bias = solved[k]
        trained = fit_task(end, sources_fit, readings.fit_labels, weight, bias)
        for i, (a, b) in enumerate([(weight, bias), trained]):
            values[i, :, k] = _accuracies(end, sources_held, readings.labels, a, b) - own
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


def fit_task(
    end: nn.Module,
    sources: Tensor,  # (S, n, D)
    labels: Tensor,  # (n,)
    weight: Tensor,  # (S, D, E), to begin with
    bias: Tensor,  # (S, 1, E)
) -> tuple[Tensor, Tensor]:
    """Task loss matching of all sources side by side, to one end: each is trained as if alone."""
    weight, bias = (z.clone().requires_grad_() for z in (weight, bias))
    optimizer = torch.optim.Adam([weight, bias], _LR)
    draw = torch.Generator().manual_seed(0)
    with torch.enable_grad():
        for _ in range(_STEPS):
            some = torch.randint(len(labels), (_BATCH,), generator=draw)
            logits = _through(end, sources[:, some], weight, bias)
            # A sum over sources: none takes a smaller step for having company.
            loss = label_loss(logits.flatten(0, 1), labels[some].repeat(len(sources)))
            optimizer.zero_grad()
            (loss * len(sources)).backward()
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
