"""Points of one class are moved, and are as separable as before: does a measure mind?

All points of a class go the same way, far along the direction by which a linear readout tells it
from the rest: away from all others. Differences within every class stay, and a readout that is
fitted anew answers as before. So a network should be at least as like itself, moved, as it is like
another network.

Source: Davari et al. 2023, https://arxiv.org/abs/2210.16156, who move a linearly separable subset.
"""

from dataclasses import replace

import torch
from torch import Tensor

from frankenstein.benchmark.grounded.grounded import STANDARD, Grounded, violated_by
from frankenstein.benchmark.readings import Readings, Rows

FAR = 10.0  # of the root mean square distance of points from their mean


def moved(readings: Readings) -> Readings:
    """Every network with a class of its points moved: the first one's first, and so on."""
    made = {}
    for number, (name, rows) in enumerate(readings.rows.items()):
        way = direction(rows.fit, readings.fit_labels, number % readings.classes)
        at = number % readings.classes
        made[name] = Rows(
            rows.fit + way * (readings.fit_labels == at)[:, None],
            rows.held + way * (readings.labels == at)[:, None],
        )
    return replace(readings, rows=made)


def direction(x: Tensor, labels: Tensor, at: int) -> Tensor:  # (N, D), (N,) -> (D,)
    """How far and which way a class is moved: along what least squares tell it from the rest by."""
    centred = (x - x.mean(0)).double()
    wanted = (labels == at).double()
    way = torch.linalg.lstsq(centred, (wanted - wanted.mean())[:, None], driver="gelsd").solution
    spread = centred.square().sum(1).mean().sqrt()
    return (FAR * spread * way[:, 0] / way.norm()).to(x)


TEST = Grounded(
    "Can the same be read out linearly, whatever was moved?",
    "Davari et al. 2023, https://arxiv.org/abs/2210.16156",
    (STANDARD,),
    violated_by,
    more=moved,
)
