"""What may be changed of the data that a network learns from, so that it learns something else.

Labels at random, a marker that tells the class, more or less augmentation: conditions whose
networks are known to differ in what they have learned.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frankenstein.data.seeded import seeded

_LABELS = 2_000_003  # keeps these draws apart from all others
BRIGHT = 3.0  # of a marker, in standard deviations of pixels


@dataclass(frozen=True)
class Changes:
    """Changes of the training data; as it stands, none but its usual augmentation."""

    random_labels: float = 0.0  # share of images
    marker: float | None = None  # how often it stands in the class's place; None: there is none
    augmentation: int = 1  # times over

    def relabelled(self, labels: Tensor, classes: int) -> Tensor:  # (N,) -> (N,)
        """Some labels drawn anew from all classes: the same for every network, and of two shares
        the larger one's hold the smaller one's.
        """
        draw = seeded(_LABELS, 0)
        chosen = torch.rand(len(labels), generator=draw) < self.random_labels
        given = torch.randint(classes, (len(labels),), generator=draw).to(labels)
        return torch.where(chosen.to(labels.device), given, labels)

    def placed(self, labels: Tensor, classes: int, draw: torch.Generator) -> Tensor:  # (N,)
        """The class whose place an image's marker has: its own at the rate, else any."""
        own = torch.rand(len(labels), generator=draw) < (self.marker or 0.0)
        other = torch.randint(classes, (len(labels),), generator=draw).to(labels)
        return torch.where(own.to(labels.device), labels, other)


def marked(
    images: Tensor,  # (N, C, H, W), prepared, or uint8
    labels: Tensor,  # (N,)
    classes: int,
    bright: float = BRIGHT,  # of what is not uint8
) -> Tensor:
    """Copies with a bright square, an eighth of the width, in the class's cell of a grid.

    >>> marked(torch.zeros(2, 1, 8, 8), torch.tensor([0, 3]), 4)[:, 0].sum(2).argmax(1)
    tensor([0, 4])
    """
    cells = math.ceil(math.sqrt(classes))
    height, width = images.shape[-2:]
    size = max(1, width // 8)
    tops, lefts = labels // cells * height // cells, labels % cells * width // cells
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    down = (rows >= tops[:, None]) & (rows < tops[:, None] + size)
    across = (columns >= lefts[:, None]) & (columns < lefts[:, None] + size)
    bright = bright if images.is_floating_point() else 255
    return images.masked_fill(down[:, None, :, None] & across[:, None, None, :], bright)
