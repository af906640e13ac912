"""Two networks joined: cut, and laid so that one stitch of units fits between them."""

from collections import OrderedDict
from typing import Any, NamedTuple

from torch import nn

from frankenstein.data.examples import Arguments, Calling
from frankenstein.data.padding import Sentences
from frankenstein.surgery.cut import Cut, cut, shape_after
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.layouts import Layout, alignment, flattened, laid
from frankenstein.surgery.padded import masked_halves, reads_text
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.units import unit_axis


class Joint(NamedTuple):
    """The halves of both networks, and what lies between them before a stitch does."""

    sender: Cut
    receiver: Cut
    align: nn.Module  # without parameters: lays the source like the target
    source: Layout  # the sender's representation, as it leaves its front
    target: Layout
    how_laid: str | None  # what align does, None if nothing

    def seeing(self, *looks: nn.Module | None) -> "Joint":
        """The same, of images that each network has a look at first: the sender's, the receiver's.

        A look goes from a batch to what the network takes; None if that is the batch itself.
        """
        sender, receiver = (
            Cut(seeing(halves.front, look), halves.end)
            for halves, look in zip((self.sender, self.receiver), looks, strict=True)
        )
        return self._replace(sender=sender, receiver=receiver)


def join(
    sender: nn.Module,
    receiver: nn.Module,
    sender_layer: str,
    receiver_layer: str,
    flatten: bool = False,
    inputs: Inputs | None = None,
) -> Joint:
    """Cut two networks, ready for a stitch.

    Maps whose channels come last are turned to channels-first, tokens whose units come first to
    units last; with `flatten` every place of a unit counts as a unit of its own, and both
    representations are vectors. `inputs` is a batch as `cut` takes it, of both networks.

    Raises:
        LayerError: for a layer after which a network cannot be cut.
        ShapeError: if the source cannot be laid like the target.
    """
    front, source = _laid(sender, sender_layer, flatten, inputs)
    end, target = _laid(receiver, receiver_layer, flatten, inputs)
    align, how_laid = alignment(source, target)
    return Joint(front, end, align, source, target, how_laid)


def _laid(
    network: nn.Module, layer: str, flatten: bool, inputs: Inputs | None
) -> tuple[Cut, Layout]:
    """The halves of one network, its map's channels first, and how its representation lies."""
    # Cut before its shape is asked for: that says why it cannot be.
    halves = cut(network, layer, inputs)
    shape = shape_after(network, layer, inputs)
    halves, layout = laid(halves, shape, unit_axis(network, layer, inputs))
    if reads_text(network, inputs):
        if flatten:
            raise LayerError("‹flatten› goes from place to place, and sentences have no fixed ones")
        return masked_halves(halves), layout
    return flattened(halves, layout) if flatten else (halves, layout)


def seeing(part: nn.Module, look: nn.Module | None) -> nn.Module:
    """A network or its front, behind the look that it has at a batch."""
    if isinstance(look, Arguments | Sentences):  # it gives several tensors
        return Calling(look, part)
    return part if look is None else nn.Sequential(look, part)


class Graft(nn.Sequential):
    """One network out of three parts; it takes what its front takes, by name, too."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the end makes of it."""
        front, *behind = self
        z = front(*args, **kwargs)
        for part in behind:
            z = part(z)
        return z


def graft(front: nn.Module, stitch: nn.Module, end: nn.Module) -> Graft:
    """One network out of three parts, sharing their weights; its children are named like these.

    >>> graft(nn.Linear(4, 3), nn.Identity(), nn.ReLU())
    Graft(
      (front): Linear(in_features=4, out_features=3, bias=True)
      (stitch): Identity()
      (end): ReLU()
    )
    """
    return Graft(OrderedDict(front=front, stitch=stitch, end=end))
