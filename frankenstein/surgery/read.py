"""Read the layers of a network: `Reader` of layers by name, `reading` of any module by any words.

In both the channels of maps come first, wherever the network has them (`surgery.layouts`).
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import chain

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError, did_you_mean
from frankenstein.surgery.capture import capture
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.layouts import units_first
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.sources import NOT_CALLED, Results, Source, hooked, traced
from frankenstein.surgery.untouched import evaluating

Wanted = str | Sequence[str]  # names, globs, "cut points", "modules"
Read = Callable[[Tensor], dict[str, Tensor]]

CUT_POINTS, MODULES = "cut points", "modules"


class Reader(nn.Module):
    """Inputs to `{layer: representation (N, ...)}`, in one pass that ends at the last layer.

    It shares the network's weights and modes, can be folded (`fold`), and stands wherever a module
    can. `lays` has, for layers that it names, what they go through instead.

    Raises:
        LayerError: if there is no such layer, or it gives several tensors at once.
    """

    captured: nn.Module

    def __init__(
        self,
        network: nn.Module,
        layers: Iterable[str],
        lays: Mapping[str, Callable[[Tensor], Tensor]] = {},
        inputs: Inputs | None = None,
    ) -> None:
        super().__init__()
        self.captured, self.lays = capture(network, layers, inputs), dict(lays)

    @classmethod
    def of_end(cls, end: nn.Module, layers: Iterable[str]) -> "Reader":
        """Representations at a cut to those of layers behind it.

        `end` is that of `cut` or `join`; the layers are called as in the whole network.
        """
        before: list[nn.Module] = []  # what `join` has put before the end half
        while isinstance(end, nn.Sequential):
            *first, end = end
            before += first
        reader = cls(end, layers)
        reader.captured = nn.Sequential(*before, reader.captured)
        return reader

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Of every layer, in the order asked for."""
        captured = self.captured(inputs)
        return {name: self.lays.get(name, units_first)(z) for name, z in captured.items()}


@contextmanager
def reading(
    network: nn.Module, layers: Wanted | None = None, device: torch.device | str | None = None
) -> Iterator[Read]:
    """Inside, a function from inputs to {layer: representation (N, ...)}, without gradients.

    Names are those of the network's graph (`surgery.record`), and of blocks for what they give; a
    module that is called again counts as `relu_1`. Where the network has no graph, because its
    steps depend on data, or a module is asked for inside of what is one step of it, as in
    nn.TransformerEncoderLayer, modules are read by hooks until the end. Globs, whose "*" crosses
    dots, and "modules" take what gives one floating-point tensor with the batch axis first; a layer
    that is named must.
    The network is in evaluation mode and on `device`, until the end.

    Raises:
        LayerError: for a layer that is not there, or is not one such tensor.
        UserError: for a network that lies on several devices and is to be moved.
    """
    wanted = [layers] if isinstance(layers, str) else list(layers or [CUT_POINTS])
    # Outside of inference mode, in which nobody can tell whether a tensor was overwritten.
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        evaluating(network),
        _visiting(network, device),
        _source(network, wanted) as source,
    ):
        yield _ChosenReader(network, source, _chosen(source, wanted))


class _ChosenReader:
    """Reads chosen layers; the first batch shows which of those that were not named can be."""

    def __init__(self, network: nn.Module, source: Source, chosen: dict[str, bool]) -> None:
        self.source, self.chosen = source, chosen
        self.names: tuple[str, ...] | None = None
        self.home = next(chain(network.parameters(), network.buffers()), None)

    def __call__(self, inputs: Tensor) -> dict[str, Tensor]:
        if self.home is not None:
            # Half-precision networks take inputs of theirs, integers (tokens) stay what they are.
            floats = inputs.is_floating_point() and self.home.is_floating_point()
            inputs = inputs.to(self.home.device, self.home.dtype if floats else None)
        results = self.source.read(inputs, self.names or tuple(self.chosen))
        if self.names is None:
            self.names = self._readable(results, len(inputs))
        return {name: self._representation(name, results[name], len(inputs)) for name in self.names}

    def _representation(self, name: str, result: Tensor | str, n: int) -> Tensor:
        reason = _reason(result, n)
        if reason or isinstance(result, str):
            raise LayerError(f"{name!r} of {self.source.title} {reason}")
        return units_first(result)

    def _readable(self, results: Results, n: int) -> tuple[str, ...]:
        reasons = {name: _reason(result, n) for name, result in results.items()}
        reasons = {name: reason for name, reason in reasons.items() if reason}
        left_out = [
            f"{s!r} {why}"
            for s, why in reasons.items()
            if not self.chosen[s] and why != NOT_CALLED and not self.source.has_graph
        ]
        if left_out:
            warnings.warn(f"left out of {self.source.title}: {'; '.join(left_out)}", stacklevel=4)
        names = tuple(s for s, named in self.chosen.items() if named or s not in reasons)
        if not names:
            raise LayerError(f"no layer of {self.source.title} that was asked for is one tensor")
        return names


def _reason(result: Tensor | str, n: int) -> str | None:
    """Why a layer's result is no representation, or None if it is one."""
    if isinstance(result, str):
        return result
    if not result.is_floating_point():
        return f"gives {str(result.dtype).removeprefix('torch.')}, not floating-point numbers"
    if result.ndim < 2 or len(result) != n:
        return f"gives shape {tuple(result.shape)} for {n} inputs: its first axis is not the batch"
    return None


@contextmanager
def _source(network: nn.Module, wanted: list[str]) -> Iterator[Source]:
    try:
        source = traced(network)
    except LayerError:
        if CUT_POINTS in wanted:
            raise
    else:
        modules = [name for name, _ in network.named_modules() if name]
        if all(_matching(source.known, one) or not _matching(modules, one) for one in wanted):
            yield source
            return
    with hooked(network) as source:
        yield source


def _chosen(source: Source, wanted: list[str]) -> dict[str, bool]:
    """Layers in the order asked for, with whether each was named."""
    chosen: dict[str, bool] = {}
    for one in wanted:
        if one in source.known:
            chosen[one] = True
            continue
        if one == CUT_POINTS:
            several = list(source.cut_points)
        elif one == MODULES:
            several = list(source.modules)
        else:
            several = _matching(source.known, one)
        if not several:
            hint = did_you_mean(one, source.known) or "; `frankenstein layers NETWORK` lists them"
            raise LayerError(f"{source.title} has no layer {one!r}{hint}")
        for name in several:
            chosen.setdefault(name, False)
    return chosen


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


@contextmanager
def _visiting(network: nn.Module, device: torch.device | str | None) -> Iterator[None]:
    """The network on a device inside, and where it was afterwards."""
    homes = {tensor.device for tensor in chain(network.parameters(), network.buffers())}
    if device is None or homes <= {torch.device(device)}:
        yield
        return
    if len(homes) > 1:
        raise UserError(
            f"the network lies on {', '.join(sorted(map(str, homes)))}; move it to one device"
        )
    try:
        network.to(device)
        yield
    finally:
        network.to(homes.pop())
