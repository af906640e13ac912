"""How halves are called, and that they first prove to be right: part of every graph that is cut.

A front takes what its network takes. An end takes a representation, and by name whatever else it
needs of what the network takes: `end(z)`, `end(z, **batch)`.
"""

from typing import Any
from weakref import ref

import torch
from torch import Tensor, fx, nn

from frankenstein.surgery.fakes import CodeGen, FakeTensor, numbers
from frankenstein.surgery.inputs import Call, named
from frankenstein.surgery.modules import unwrapped
from frankenstein.surgery.pieces import unflatten
from frankenstein.surgery.proof import ready, ready_behind
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.steps import Record

_SELF = "_arguments_of_this_half"


class Arguments(CodeGen):
    """Turns the arguments of a half into what its steps take, and what they give into its result.

    It travels with the graph, into every copy.
    """

    def __init__(
        self,
        record: Record,
        network: nn.Module,
        needs: tuple[str, ...],  # of the network's inputs
        entrance: fx.Node | None = None,  # of an end: the layer it is behind
        structure: Any = None,  # of an end: how its results are put together
    ) -> None:
        super().__init__()
        self.record, self.needs, self.entrance = record, needs, entrance
        self.structure = structure
        self.signature = record.signature
        # Held until the first batch has shown that the steps are right.
        self.network: nn.Module | None = network
        self.known = ref(network)

    def __deepcopy__(self, memo: Any) -> "Arguments":
        return self

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """What the steps take.

        Raises:
            LayerError: for another structure than the network was recorded with, for a missing
                context, and where the first batch shows that what was recorded is not the network.
        """
        title, behind = self.record.title, self.entrance is not None
        z, rest = (args[:1], args[1:]) if behind else ((), args)
        if behind and not (z and isinstance(z[0], Tensor)):
            raise LayerError(f"the end of {title} takes a representation first, a tensor")
        call = Call(rest, kwargs)
        try:
            values = (
                named(self.signature, call, partial=behind) if rest or kwargs or not behind else {}
            )
        except LayerError as error:
            raise LayerError(f"{title} does not take these inputs: {error}") from error
        if self.entrance is not None:
            self._check_context(values, self.record.name(self.entrance))
        else:
            self._check_all(values)
        given = [*z, *(values[name] for name in self.needs)]
        if any(isinstance(x, FakeTensor) for x in given):
            return given  # it is being recorded itself
        network = self.known()
        for name in self.record.replaced(unwrapped(network)) if network else ():
            raise LayerError(f"{title} has another {name!r} than when it was cut; cut it again")
        if self.entrance is not None:
            inputs = {node: values.get(str(node.target)) for node in self.record.inputs}
            beside = {node: x for node, x in inputs.items() if isinstance(x, Tensor)}
            ready_behind(self.record, network, self.entrance, z[0], beside)
        else:
            ready(
                self.record,
                network,
                call,
                [values[str(node.target)] for node in self.record.inputs],
            )
        self.network = None
        return given

    def _check_context(self, values: dict[str, Any], layer: str) -> None:
        missing = [name for name in self.needs if name not in values]
        if missing:
            raise LayerError(
                f"the end of {self.record.title} behind {layer!r} also "
                f"needs {', '.join(missing)}: call end(z, {self._batch()})"
            )
        check_flags(self.record.title, self.record.values, values)

    def _batch(self) -> str:
        """How a batch is given to what takes these arguments."""
        first = next(iter(self.signature.parameters.values()))
        return "*batch" if first.kind is first.VAR_POSITIONAL else "**batch"

    def _check_all(self, values: dict[str, Any]) -> None:
        absent = dict.fromkeys(self.record.values)  # what is not given is None
        check_flags(self.record.title, self.record.values, absent | values)

    def example(self) -> Call:
        """What the half could be called with."""
        call = self.record.call
        if self.entrance is None:
            return call
        fact = self.record.facts[self.entrance]
        z = torch.zeros(numbers(fact.shape, self.record.sizes()), dtype=fact.dtype)
        device = next(iter(self.record.tensors(call))).device
        return Call((z.to(device),), {name: self.record.values[name] for name in self.needs})

    def gen_fn_def(
        self, free_vars: list[str], maybe_return_annotation: str, *, expanded_def: bool = False
    ) -> str:
        """The head of the function that torch.fx writes."""
        names = [one.split()[0].rstrip(":") for one in free_vars if one != "self"]
        taken = (
            f"[{', '.join(names)}] = {_SELF}.bind(args, kwargs)"
            if names
            else f"{_SELF}.bind(args, kwargs)"
        )
        return f"def {self._func_name}(self, *args, **kwargs):\n    {taken}"

    def generate_output(self, output_args: Any, *, descs: Any = None, repr_fn: Any = None) -> str:
        """Its last line."""
        code = (repr_fn or repr)(output_args)
        return f"return {code if self.structure is None else f'{_SELF}.process_outputs({code})'}"

    def process_inputs(self, *args: Any) -> Any:  # type: ignore[override]
        """What an interpreter of the graph starts from."""
        return self.bind(args, {})

    def process_outputs(self, outputs: Any) -> Any:
        """What the steps give as the network gives it."""
        if self.structure is None:
            return outputs
        return unflatten(list(outputs), self.structure)

    def additional_globals(self) -> list[tuple[str, Any]]:
        """What the function knows."""
        return [(_SELF, self)]


def check_flags(title: str, recorded: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse other flags than a network was recorded with: its steps may be others then."""
    for name, other in given.items():
        one = recorded.get(name)
        tensors = isinstance(one, Tensor), isinstance(other, Tensor)
        if tensors == (True, True) or one is other:
            continue
        if any(tensors) or not _alike(one, other):
            said = ["a tensor" if isinstance(x, Tensor) else repr(x) for x in (one, other)]
            raise LayerError(
                f"{title} was recorded with {name}={said[0]}, not {said[1]}; "
                "give such a call as inputs="
            )


def _alike(one: Any, other: Any) -> bool:
    """Whether two flags are equal; of arrays and of a user's objects nobody can say."""
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # any code of the user's class
        return False


def arguments_of(part: nn.Module) -> Arguments | None:
    """How a half is called; None of a module that is none."""
    graph = getattr(part, "graph", None)
    found = getattr(graph, "_codegen", None)
    return found if isinstance(found, Arguments) else None
