"""One batch on its way through a stitch: what objectives are functions of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.shapes import values_of
from frankenstein.surgery import Cut
from frankenstein.surgery.capture import OUTPUT


@dataclass(frozen=True)
class Pass:
    """The tensors of one batch; each is made when first read, and only then.

    So the receiver's front half runs only for an objective or a measure that reads `target`, and
    direct matching, which never reads `logits`, runs no end half. With `behind`, the layers that
    follow come from the pass that the logits need; without, the logits are all that follows.
    """

    images: Tensor | Mapping[str, Tensor]  # (N, C, H, W); or "source" and "target", if known
    labels: Tensor  # (N,)
    sender: Cut
    stitch: nn.Module
    receiver: Cut
    align: nn.Module = field(default_factory=nn.Identity)  # lays the source like the target
    # A `Reader` of the receiver's end: {layer: representation}, logits as `OUTPUT`.
    behind: nn.Module | None = None

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
        return self._read_target()

    @cached_property
    def logits(self) -> Tensor:
        """What the receiver's end makes of the stitched representation."""
        return values_of(self.stitched_later[OUTPUT])

    @cached_property
    def stitched_later(self) -> dict[str, Tensor]:
        """What layers behind the cut make of the stitched representation."""
        return self._follow(self.stitched)

    @cached_property
    def target_later(self) -> dict[str, Tensor]:
        """What they are in the receiver by itself."""
        # Who needs these alone keeps no target beside them.
        target = vars(self).get("target")
        with torch.no_grad():
            return self._follow(self._read_target() if target is None else target)

    def both_at(self, layer: str) -> tuple[Tensor, Tensor]:
        """Stitched and target at a layer behind the cut.

        Raises:
            UserError: if it is not among those that are followed.
        """
        if layer not in self.stitched_later:
            raise UserError(f"the objective follows {layer!r} behind the cut; name it in `later`")
        return self.stitched_later[layer], self.target_later[layer]

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

    def _read_target(self) -> Tensor:
        with torch.no_grad():
            return self.receiver.front(self.images)

    def _follow(self, z: Tensor) -> dict[str, Tensor]:
        return {OUTPUT: self.receiver.end(z)} if self.behind is None else self.behind(z)


Objective = Callable[[Pass], Tensor]
