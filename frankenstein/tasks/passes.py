"""One batch through the grafted network, computed as far as somebody asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from frankenstein.surgery import Cut


@dataclass(frozen=True)
class Pass:
    """The tensors of one batch; each is made when first read, and only then.

    So the receiver's front half runs only for an objective or a measure that reads `target`, and
    direct matching, which never reads `logits`, runs no end half.
    """

    images: Tensor | Mapping[str, Tensor]  # (N, C, H, W); or "source" and "target", if known
    labels: Tensor  # (N,)
    sender: Cut
    stitch: nn.Module
    receiver: Cut
    align: nn.Module = field(default_factory=nn.Identity)  # lays the source like the target

    def __post_init__(self) -> None:
        """What is known already is not computed: a cached property looks here first."""
        if isinstance(self.images, Mapping):
            vars(self).update(self.images)

    @cached_property
    def source(self) -> Tensor:
        """The sender's representation at its cut."""
        with torch.no_grad():
            return self.sender.front(self.images)

    @cached_property
    def stitched(self) -> Tensor:
        """The source through the stitch."""
        return self.stitch(self.align(self.source))

    @cached_property
    def target(self) -> Tensor:
        """The receiver's representation at its cut."""
        with torch.no_grad():
            return self.receiver.front(self.images)

    @cached_property
    def logits(self) -> Tensor:
        """What the receiver's end makes of the stitched representation."""
        return self.receiver.end(self.stitched)

    @cached_property
    def sender_logits(self) -> Tensor:
        """What the sender by itself answers."""
        with torch.no_grad():
            return self.sender.end(self.source)

    @cached_property
    def receiver_logits(self) -> Tensor:
        """What the receiver by itself answers."""
        with torch.no_grad():
            return self.receiver.end(self.target)
