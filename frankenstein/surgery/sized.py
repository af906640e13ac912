"""Parts of a network whose steps are others for every size, such as `h / math.sqrt(len(x))`."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.surgery.fakes import FakeTensor
from frankenstein.surgery.inputs import Call, named, resized
from frankenstein.surgery.record import lengths_of, record
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.steps import Record

Make = Callable[[Record, nn.Module], nn.Module]


def for_all_sizes(steps: Record, network: nn.Module, make: Make, behind: bool = False) -> nn.Module:
    """What `make` gives of the steps, or a module that makes one for each size that it meets.

    `behind` is for an end, which takes a representation first.
    """
    return _Sized(steps, network, make, behind) if steps.by_size else make(steps, network)


class _Sized(nn.Module):
    """Shares the network's weights."""

    def __init__(self, steps: Record, network: nn.Module, make: Make, behind: bool) -> None:
        super().__init__()
        self.steps, self.network, self.make, self.behind = steps, network, make, behind
        self.parts: dict[Any, nn.Module] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the part for these sizes gives."""
        call = self._whole(args, kwargs) if self.behind else Call(args, kwargs)
        if any(isinstance(x, FakeTensor) for x in call.tensors()):
            raise LayerError(f"a part of {self.steps.title} is another one for every size")
        sizes = tuple(x.shape for x in call.tensors())
        if sizes not in self.parts:
            self.parts[sizes] = self.make(record(self.network, call), self.network)
        return self.parts[sizes](*args, **kwargs)

    def _whole(self, args: Any, kwargs: Any) -> Call:
        """A batch of which this could be a representation, with the context that is given."""
        z, *rest = args
        given = named(self.steps.signature, Call(tuple(rest), kwargs), partial=True)
        names = {id(x): name for name, x in self.steps.values.items() if isinstance(x, Tensor)}
        batch = len(self.steps.values[str(self.steps.main.target)])
        missing = [name for name in lengths_of(self.steps) if name not in given]
        if missing:
            raise LayerError(
                f"the end of {self.steps.title} is another one for every length and needs "
                f"{', '.join(missing)}: call end(z, **batch)"
            )

        def fitting(x: Tensor) -> Tensor:
            if names[id(x)] in given:
                return given[names[id(x)]]
            alike = resized(x, {0: len(z)}) if x.ndim and len(x) == batch else x
            # The network may be of another precision now.
            both = x.is_floating_point() and z.is_floating_point()
            cast = torch.is_autocast_enabled(z.device.type)
            return alike.to(z.dtype) if both and not cast else alike

        return self.steps.call.map(fitting)
