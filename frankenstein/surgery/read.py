"""Read the layers of a network: `Reader` of layers by name, `reading` of any module by any words.

In both the channels of maps come first and units of all else last, wherever the network has them
(`surgery.units`).
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError, did_you_mean
from frankenstein.surgery.blocks import block_layers
from frankenstein.surgery.capture import OUTPUT, capture, capture_behind
from frankenstein.surgery.halves import arguments_of
from frankenstein.surgery.inputs import Call, Inputs
from frankenstein.surgery.layouts import units_in_place
from frankenstein.surgery.modules import paths, title_of, unwrapped
from frankenstein.surgery.padded import Following, Unmasking
from frankenstein.surgery.record import known_call
from frankenstein.surgery.refusal import LayerError, ValuesError
from frankenstein.surgery.sources import NOT_CALLED, Results, Source, Take, hooked, recorded
from frankenstein.surgery.steps import Record
from frankenstein.surgery.units import unit_axes, unit_axis
from frankenstein.surgery.untouched import evaluating

Wanted = str | Sequence[str]  # names, globs, "cut points", "blocks", "modules"
CUT_POINTS, BLOCKS, MODULES = "cut points", "blocks", "modules"

Fold = Callable[[str, Tensor], Any]  # of a layer's name and its representation (N, ...)


class Read(Protocol):
    """From `Inputs` to the representations of layers, or to what `fold` makes of each of them.

    What is folded is let go when the network no longer needs it: a pass holds few layers at once.
    Names that `fold` is told tell layers apart; those of one tensor share one.
    """

    def __call__(self, inputs: Any, fold: Fold | None = None) -> dict[str, Any]: ...  # noqa: D102


def folded(layers: Mapping[str, Tensor], fold: Fold | None) -> dict[str, Any]:
    """What a `Read` gives of layers that are there all at once."""
    return {name: z if fold is None else fold(name, z) for name, z in layers.items()}


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
        captured: nn.Module | None = None,  # what reads them
        steps: Record | None = None,  # in which they are found
    ) -> None:
        super().__init__()
        layers = list(layers)
        self.captured = captured or capture(network, layers, inputs)
        named = [s for s in layers if s != OUTPUT]
        if steps is None:
            axes = {s: unit_axis(network, s, inputs) for s in named}
        else:
            axes = {s: unit_axes(steps).get(steps.find(s)) for s in named}
        own = {s: partial(units_in_place, axis=axes.get(s)) for s in layers}
        self.lays: dict[str, Callable[[Tensor], Tensor]] = {**own, **lays}

    @classmethod
    def of_end(cls, end: nn.Module, layers: Iterable[str]) -> nn.Module:
        """Representations at a cut to those of layers behind it.

        `end` is that of `cut` or `join`; the layers are called as in the whole network.
        """
        if isinstance(end, Unmasking):
            return Following(cls.of_end(end.part, layers), end)
        before: list[nn.Module] = []  # what `join` has put before the end half
        while isinstance(end, nn.Sequential):
            *first, end = end
            before += first
        layers, arguments = list(layers), arguments_of(end)
        steps = None if arguments is None else arguments.record  # of the whole network
        reader = cls(end, layers, captured=capture_behind(end, layers), steps=steps)
        if before:  # what it takes beside the representation cannot be given through it
            reader.captured = nn.Sequential(*before, reader.captured)
        return reader

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Of every layer, in the order asked for."""
        captured = self.captured(*args, **kwargs)
        return {name: self.lays[name](z) for name, z in captured.items()}


@contextmanager
def reading(
    network: nn.Module, layers: Wanted | None = None, device: torch.device | str | None = None
) -> Iterator[Read]:
    """Inside, a function from inputs to {layer: representation (N, ...)}, without gradients.

    Inputs are what the network takes: a tensor, a tuple of arguments or a dict of named ones.
    Names are those of the network's graph (`surgery.record`), and of blocks for what they give; a
    module that is called again counts as `relu_1`. Where the network has no graph, because its
    steps depend on data or what was recorded is not what it gives, or a module is asked for inside
    of what is one step of it, as in nn.TransformerEncoderLayer, modules are read by hooks until the
    end. Globs, whose "*" crosses dots, "blocks" (`block_layers`) and "modules" take what gives one
    floating-point tensor with the batch axis first; a layer that is named must.
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
        ExitStack() as stack,
    ):
        yield _ChosenReader(network, wanted, stack)


def known_words(
    network: nn.Module, words: Iterable[str], inputs: Inputs | None = None
) -> list[str]:
    """Those of some words for layers, as `reading` takes them, that say one of this network."""
    names = {name for name in paths(unwrapped(network)) if name}
    with suppress(LayerError, ValuesError):  # without a graph there are modules
        names |= {*recorded(network, inputs).known}
    kinds = (CUT_POINTS, BLOCKS, MODULES)
    return [word for word in words if word in kinds or word in names or _matching(names, word)]


class _ChosenReader:
    """Reads chosen layers; the first batch shows which of those that were not named can be."""

    def __init__(self, network: nn.Module, wanted: list[str], stack: ExitStack) -> None:
        self.network, self.wanted, self.stack = network, wanted, stack
        self.names: tuple[str, ...] | None = None
        self.batch: tuple[int, Fold | None] = (0, None)  # examples of the one that is read
        self.home = next(chain(network.parameters(), network.buffers()), None)
        self.source: Source | None = None
        self.title = title_of(unwrapped(network))
        with suppress(_UnknownInputs):  # the first batch tells
            self._choose(self._source())

    def __call__(self, inputs: Inputs, fold: Fold | None = None) -> dict[str, Any]:
        call = Call.of(inputs).map(self._moved)
        if self.source is None:
            self._choose(self._source(call))
        self.batch = len(next(x for x in call.tensors())), fold
        results = self._read(call, None if fold is None else self._taken)
        if fold is None:
            results = {name: self._taken(name, z) for name, z in results.items()}
        if self.names is None:
            self.names = self._readable(results)
        for name in self.names:
            if isinstance(results[name], str):
                raise LayerError(f"{name!r} of {self.title} {results[name]}")
        return {name: results[name] for name in self.names}

    def _moved(self, x: Tensor) -> Tensor:
        if self.home is None:
            return x
        # Half-precision networks take inputs of theirs, integers (tokens) stay what they are.
        floats = x.is_floating_point() and self.home.is_floating_point()
        return x.to(self.home.device, self.home.dtype if floats else None)

    def _choose(self, source: Source) -> None:
        self.source, self.chosen = source, _chosen(source, self.wanted, self.network)

    def _source(self, call: Call | None = None) -> Source:
        """The network's graph; hooks where it has none, or has as one step what is wanted."""
        inputs = None if call is None else call.kwargs or call.args
        try:
            source = recorded(self.network, inputs)
        except ValuesError:
            if CUT_POINTS in self.wanted:
                raise
        except LayerError as error:
            if call is None and known_call(self.network) is None:
                raise _UnknownInputs from error
            if CUT_POINTS in self.wanted:
                raise
        else:
            modules = [name for name in paths(unwrapped(self.network)) if name]
            wanted = self.wanted
            if all(_matching(source.known, s) or not _matching(modules, s) for s in wanted):
                return source
        return self.stack.enter_context(hooked(self.network))

    def _read(self, call: Call, take: Take | None) -> Results:
        source = cast(Source, self.source)
        try:
            return source.read(call, self.names or tuple(self.chosen), take)
        except LayerError:
            # The graph is not the network, as the first batch shows.
            if not source.has_graph or self.names or CUT_POINTS in self.wanted:
                raise
            self._choose(self.stack.enter_context(hooked(self.network)))
            return self._read(call, take)

    def _taken(self, name: str, result: Tensor | str) -> Any:
        """The representation of a layer, or what is to be made of it; or why it is none."""
        n, fold = self.batch
        reason = _reason(result, n)
        if reason or isinstance(result, str):
            return reason
        z = units_in_place(result, cast(Source, self.source).axes.get(name))
        return z if fold is None else fold(name, z)

    def _readable(self, results: Results) -> tuple[str, ...]:
        reasons = {name: one for name, one in results.items() if isinstance(one, str)}
        left_out = [
            f"{s!r} {why}"
            for s, why in reasons.items()
            if not self.chosen[s]
            and why != NOT_CALLED
            and not (self.source and self.source.has_graph)
        ]
        if left_out:
            warnings.warn(f"left out of {self.title}: {'; '.join(left_out)}", stacklevel=4)
        names = tuple(s for s, named in self.chosen.items() if named or s not in reasons)
        if not names:
            raise LayerError(f"no layer of {self.title} that was asked for is one tensor")
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


class _UnknownInputs(Exception):  # noqa: N818 - nothing went wrong
    """Nothing is known of what a network takes, before the first batch."""


def _chosen(source: Source, wanted: list[str], network: nn.Module) -> dict[str, bool]:
    """Layers in the order asked for, with whether each was named."""
    chosen: dict[str, bool] = {}
    for one in wanted:
        if one in source.known:
            chosen[one] = True
            continue
        if one == CUT_POINTS:
            several = list(source.cut_points)
        elif one == BLOCKS:
            several = list(block_layers(network))
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
