"""Several layers of one network: all read in one pass, each with what follows it."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from frankenstein.surgery.cut import Cut, cut, shape_after
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.join import seeing
from frankenstein.surgery.key_layers import key_layers
from frankenstein.surgery.layouts import Layout, flattened, laid
from frankenstein.surgery.lighten import fold
from frankenstein.surgery.padded import Masking, masked_halves, reads_text
from frankenstein.surgery.read import Reader
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.units import unit_axis


class LayerSet(NamedTuple):
    """Cut points of a network, in the order given; maps have their channels first."""

    names: tuple[str, ...]
    read: nn.Module  # a `Reader`: images -> {layer: representation}
    ends: dict[str, nn.Module]  # representation -> logits
    layouts: dict[str, Layout]

    def logits(self, representations: dict[str, Tensor]) -> Tensor:
        """What the whole network answers, from what was read."""
        last = self.names[-1]
        return self.ends[last](representations[last])

    def seeing(self, look: nn.Module | None) -> "LayerSet":
        """The same, read from images that the network has a look at first."""
        return self._replace(read=seeing(self.read, look))

    def folded(self) -> "LayerSet":
        """The same with BatchNorm folded into the layers before: equal but for rounding."""
        ends = {name: fold(end) for name, end in self.ends.items()}
        return self._replace(read=fold(self.read), ends=ends)


def layer_set(
    network: nn.Module,
    names: Sequence[str] | None = None,
    flatten: bool = False,
    inputs: Inputs | None = None,
) -> LayerSet:
    """The layers of these names; those of `key_layers` by default.

    With `flatten` every place of a unit counts as a unit of its own. The network is frozen where
    it is: in evaluation mode, without gradients.

    Raises:
        LayerError: for a layer after which the network cannot be cut.
    """
    network.requires_grad_(False).eval()
    names = tuple(dict.fromkeys(names or key_layers(network, inputs)))
    halves = {name: cut(network, name, inputs) for name in names}  # first: it says what is wrong
    shapes = {name: shape_after(network, name, inputs) for name in names}
    lays: dict[str, nn.Module] = {}
    ends: dict[str, nn.Module] = {}
    layouts: dict[str, Layout] = {}
    for name in names:
        axis = unit_axis(network, name, inputs)
        end, layouts[name] = laid(Cut(nn.Identity(), halves[name].end), shapes[name], axis)
        if flatten:
            end, layouts[name] = flattened(end, layouts[name])
        lays[name], ends[name] = end
    read: nn.Module = Reader(network, names, lays, inputs)
    if reads_text(network):
        if flatten:
            raise LayerError("‹flatten› goes from place to place, and sentences have no fixed ones")
        read = Masking(read)
        ends = {name: masked_halves(Cut(read, end)).end for name, end in ends.items()}
    return LayerSet(names, read, ends, layouts)
