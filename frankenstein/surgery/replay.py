"""A cut without a graph, behind a module: for networks whose steps depend on values.

The front runs the network until that module is done. The end runs the network again, its main input
without data until that module, whose result is then the representation. What is still without data
behind it went around the cut.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.data.examples import signature_of
from frankenstein.surgery.fakes import Fakes, FakeTensor, depends_on_values, uncompiled
from frankenstein.surgery.halves import check_flags
from frankenstein.surgery.inputs import Call, Inputs, example_of, named, resized
from frankenstein.surgery.modules import paths, place_of, title_of, unwrapped
from frankenstein.surgery.pieces import changed, principal, tensors_in
from frankenstein.surgery.record import call_of
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.untouched import evaluating, untouched

_DIFFER_IN_TRAINING = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)


class _Done(BaseException):  # no Exception, which a network might catch
    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


class _Replay(nn.Module):
    """A half that runs the network itself; it shares the network's weights."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network, self.layer = network, layer

    @contextmanager
    def _behind(self, change: Callable[[Any], Any]) -> Iterator[list[str]]:
        """Inside, what the layer gives is changed; the list tells how often it was called."""
        called: list[str] = []
        for name, module in paths(self.network).items():
            if module.training and isinstance(module, _DIFFER_IN_TRAINING):
                raise LayerError(
                    f"the halves of {title_of(self.network)} run it again, at evaluation alone, "
                    f"and {name!r} is in training mode; call eval() first"
                )

        def hook(module: nn.Module, given: Any, out: Any) -> Any:
            called.append(self.layer)
            return change(out)

        with untouched(self.network):
            handle = paths(self.network)[self.layer].register_forward_hook(hook)
            try:
                yield called
            finally:
                handle.remove()


class ReplayedFront(_Replay):
    """What the network takes, to what a module of it gives."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The network, up to that module."""

        def stop(out: Any) -> Any:
            raise _Done(out)

        with self._behind(stop):
            try:
                self.network(*args, **kwargs)
            except _Done as done:
                return _one(done.result, self.network, self.layer)
        raise LayerError(f"{self.layer!r} of {title_of(self.network)} is not called")


class ReplayedEnd(_Replay):
    """A representation, and what else the network takes, to what the network gives."""

    def __init__(self, network: nn.Module, layer: str, example: Call, signature: Any) -> None:
        super().__init__(network, layer)
        self.example, self.signature = example, signature

    def forward(self, z: Tensor, *args: Any, **kwargs: Any) -> Any:
        """The network, behind that module."""
        title = title_of(self.network)

        def put(out: Any) -> Any:
            one = _one(out, self.network, self.layer)
            mine = z.clone()  # the network may write into it
            return changed(out, lambda x: mine if x is one else x)

        call = self._call(len(z), Call(args, kwargs))
        try:
            with self._behind(put) as called, uncompiled():
                out = principal(self.network(*call.args, **call.kwargs))
        except Exception as error:
            if called and not depends_on_values(error):
                raise
            where = "behind" if called else "before"
            raise LayerError(
                f"cannot cut {title} after {self.layer!r}: its steps {where} that layer depend on "
                f"values that are not in it{place_of(error)}"
            ) from error
        if len(called) != 1:
            raise LayerError(
                f"cannot cut {title} after {self.layer!r}: it is called {len(called)} times, and "
                "the steps of this network depend on data"
            )
        if any(isinstance(x, FakeTensor) for x in tensors_in(out)):
            raise LayerError(f"cannot cut {title} after {self.layer!r}: activations go around it")
        return out

    def _call(self, batch: int, given: Call) -> Call:
        """The arguments: those that are given, and for the main input one without data."""
        values = named(self.signature, self.example)
        context = named(self.signature, given, partial=True)
        tensors = {id(x): name for name, x in values.items() if isinstance(x, Tensor)}
        main = str(getattr(self.network, "main_input_name", ""))
        main = main if main in tensors.values() else next(iter(tensors.values()))
        missing = tensors.keys() and [n for n in tensors.values() if n not in context and n != main]
        if missing:
            raise LayerError(
                f"the end of {title_of(self.network)} behind {self.layer!r} also needs "
                f"{', '.join(missing)}: call end(z, **batch)"
            )
        check_flags(title_of(self.network), values, context)
        fakes = Fakes()

        def filled(x: Tensor) -> Tensor:
            name = tensors[id(x)]
            if name != main:
                return context[name]
            like = context.get(main, resized(x, {0: batch}))
            return fakes.of(like, main, ())

        return self.example.map(filled)


def replayed(
    network: nn.Module, layer: str, inputs: Inputs | None, error: LayerError
) -> tuple[nn.Module, nn.Module]:
    """Both halves of a network that cannot be recorded, tried on a small batch.

    Raises:
        LayerError: if the layer is no module, or the halves are not the network.
    """
    if not layer or layer not in paths(network):
        raise LayerError(f"{error} (so it can be cut behind modules only, which {layer!r} is not)")
    network = unwrapped(network)
    signature = signature_of(network)
    example = example_of(call_of(network, inputs))
    front = ReplayedFront(network, layer)
    end = ReplayedEnd(network, layer, example, signature)
    if isinstance(paths(network)[layer], torch.jit.ScriptModule):
        raise LayerError(
            f"{error} (and {layer!r} is a module of torch.jit, behind which it cannot)"
        )
    with torch.no_grad(), evaluating(network):
        z = front(*example.args, **example.kwargs)
        values = named(signature, example)
        found = end(z, **{name: x for name, x in values.items() if isinstance(x, Tensor)})
        with untouched(network):
            expected = principal(network(*example.args, **example.kwargs))
    pairs = zip(tensors_in(expected), tensors_in(found), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        raise LayerError(
            f"cannot cut {title_of(network)} after {layer!r}: run again behind it, the network "
            "gives something else"
        )
    return front, end


def _one(out: Any, network: nn.Module, layer: str) -> Tensor:
    one = principal(out)
    if not isinstance(one, Tensor):
        raise LayerError(f"{layer!r} of {title_of(network)} gives several tensors or none")
    return one
