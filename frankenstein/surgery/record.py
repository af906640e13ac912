"""The steps of a network, recorded while its own code runs: what cut and capture work on."""

import inspect
from dataclasses import dataclass, field
from typing import Any, cast
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy

from frankenstein.data.examples import signature_of
from frankenstein.surgery.assemble import sharing, written
from frankenstein.surgery.constants import hold
from frankenstein.surgery.fakes import Fakes, FakeTensor, depends_on_values, foreseen, makes_nested
from frankenstein.surgery.halves import arguments_of
from frankenstein.surgery.inputs import (
    Call,
    Example,
    Inputs,
    examples_of,
    free_axes,
    guess,
    images_of,
    named,
)
from frankenstein.surgery.ledger import Ledger, Opens
from frankenstein.surgery.marks import marks_of, places_of
from frankenstein.surgery.modules import (
    paths,
    place_of,
    title_of,
    unwrapped,
)
from frankenstein.surgery.pieces import flatten, principal
from frankenstein.surgery.recorder import Recorder
from frankenstein.surgery.refusal import LayerError, ValuesError
from frankenstein.surgery.steps import Record, attribute
from frankenstein.surgery.untouched import forget, untouched


@dataclass
class _Kept:
    """What was recorded of a network as it is."""

    marks: Any = None
    records: dict[Any, dict[Any, Record]] = field(default_factory=dict)  # by kind and sizes
    call: Call | None = None  # the last one


_KEPT: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()


def record(network: nn.Module, inputs: Inputs | None = None) -> Record:
    """The steps of a network in evaluation mode, with layers named as torchvision names them.

    The network's own code runs once, on tensors without data whose batch size (of token ids and
    masks every size) is a symbol. So its branches on flags, None, types and sizes are its own, and
    it is left as it was. What depends on `self.training` outside of a module of its own, such as
    functional dropout, is as at evaluation for good.

    `inputs` is a tensor, a tuple of arguments or a dict of named ones. Without it an example is
    made of `network.input_shape`, is `network.example_inputs`, is taken from what the network was
    recorded with before, or guessed from the first weights. The record is kept until the network is
    changed, and serves all sizes for which its branches on sizes would be the same; others have
    their own.

    Raises:
        LayerError: if its steps depend on values, with the line; if it does not take the inputs.
    """
    network = _checked(network)
    kept = _kept(network)
    call = call_of(network, inputs)
    signature = signature_of(network)
    try:
        values = named(signature, call)
    except LayerError as error:
        raise LayerError(
            f"{title_of(network)} does not take these inputs: {error}; "
            "give inputs= as it takes them"
        ) from error
    kind, sizes = _key(values), tuple(x.shape for x in call.tensors())
    known = kept.records.setdefault(kind, {})
    if sizes not in known or not hold(known[sizes]):
        served = (one for one in known.values() if _serves(one, call) and hold(one))
        known[sizes] = next(served, None) or _recorded(network, call, signature)
    kept.call = known[sizes].call
    return known[sizes]


def call_of(network: nn.Module, inputs: Inputs | None) -> Call:
    """The inputs as they are given, else as they are known, else a guess."""
    return known_call(network) or guess(network) if inputs is None else Call.of(inputs)


def known_call(network: nn.Module) -> Call | None:
    """An example of a network's inputs, if it is known without a guess."""
    network = unwrapped(network)
    shape = getattr(network, "input_shape", None)
    if shape is not None:
        return images_of(network, shape)
    example = getattr(network, "example_inputs", None)
    if example is not None:
        some = next(network.parameters(), torch.empty(0))
        return Call.of(example).map(lambda x: x.to(some.device))
    before = _KEPT.get(network)
    if before is not None and before.call is not None:
        return before.call
    half = arguments_of(network)
    if half is not None:
        return half.example()
    if isinstance(network, nn.Sequential) and len(network):
        return known_call(network[0])
    return None


def _checked(network: Any) -> nn.Module:
    if not isinstance(network, nn.Module):
        raise LayerError(
            f"a {type(network).__name__} cannot be cut or read; give the torch.nn.Module that it "
            "was made from"
        )
    network = unwrapped(network)
    if isinstance(network, torch.jit.ScriptModule):
        raise LayerError(
            f"{title_of(network)} is a module of torch.jit, whose steps cannot be recorded; give "
            "the torch.nn.Module that it was made from"
        )
    return network


def _kept(network: nn.Module) -> _Kept:
    """What was recorded of a network, unless it was changed since."""
    kept = _KEPT.setdefault(network, _Kept())
    marks = marks_of(network)
    if kept.marks != marks:
        kept.marks, kept.records = marks, {}
    for known in kept.records.values():
        for sizes, made in list(known.items()):
            if made.replaced(network):
                del known[sizes]
    return kept


def _key(values: dict[str, Any]) -> Any:
    """What two calls share that one record can serve."""
    axes = free_axes(x for x in values.values() if isinstance(x, Tensor))

    def mark(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return type(x), repr(x)
        fixed = [None if axis in axes[id(x)] else size for axis, size in enumerate(x.shape)]
        return x.dtype, x.device, tuple(fixed)

    return tuple((name, mark(x)) for name, x in values.items())


def _serves(steps: Record, call: Call) -> bool:
    """Whether the branches that a network took on sizes are those for this batch."""
    recorded = [steps.facts[node].shape for node in steps.inputs]
    sizes = [x.shape for x in steps.tensors(call)]
    return foreseen(zip(recorded, sizes, strict=True), steps.conditions) is not None


def _is_fixed(steps: Record) -> bool:
    """Whether a size that could be another one in another batch can be no other."""
    return isinstance(steps.facts[steps.main].shape[0], int) or bool(_fixed(steps))


def lengths_of(steps: Record) -> list[str]:
    """The inputs of which a length beside the batch's could be another one, and can be no other."""
    return list(dict.fromkeys(name for name, axis in _fixed(steps) if axis))


def _fixed(steps: Record) -> list[tuple[str, int]]:
    """The axes of inputs whose sizes could be others, and can be no others.

    A first axis could be if it is as long as the batch: it may be no axis of examples.
    """
    tensors = dict(zip(steps.inputs, steps.tensors(steps.call), strict=True))
    free, batch = free_axes(tensors.values()), tensors[steps.main].shape[:1]
    return [
        (str(node.target), axis)
        for node, x in tensors.items()
        for axis in free[id(x)]
        if isinstance(steps.facts[node].shape[axis], int) and (axis or x.shape[:1] == batch)
    ]


def _recorded(network: nn.Module, call: Call, signature: inspect.Signature) -> Record:
    """The record of a network that serves this batch, and as many others as can be.

    Raises:
        LayerError: if there is none.
    """
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise LayerError(f"{title_of(network)} has weights without a shape; run it once before")
    refusal: LayerError | None = None
    by_size = False
    for example in examples_of(call):
        try:
            steps = _record(network, example, signature)
        except LayerError as error:
            refusal = error
            if error.__cause__ is not None and depends_on_values(error.__cause__):
                break
        else:
            if _serves(steps, call):
                steps.by_size = by_size or _is_fixed(steps)
                return steps
            by_size = True
    raise refusal or LayerError(f"{title_of(network)} takes other steps each time")


def _record(network: nn.Module, example: Example, signature: inspect.Signature) -> Record:
    modules = {path: module for path, module in paths(network).items() if path}
    opened: set[str] = set()
    while True:
        made = Record(title_of(network), modules, signature, example.call, marks_of(network))
        try:
            forget(_run(made, network, opened, example.free))
        except Opens as found:
            opened.update(found.paths)
        else:
            constants = [attribute(made.root, one) for one in made.nodes if one.op == "get_attr"]
            called = {str(node.target) for node in made.nodes if node.op == "call_module"}
            tensors = places_of(network, [x for x in constants if isinstance(x, Tensor)])
            made.found_at(network, tensors | {(path,): modules[path] for path in called})
            _check_weights(made)
            return made


def _check_weights(made: Record) -> None:
    """Refuse a network that writes into weights of a module that is one step: unseen, it reads."""
    groups = sharing(made.nodes)
    steps = {str(node.target) for node in made.nodes if node.op == "call_module"}
    for node in made.nodes:
        mates = [mate for target in written(node) for mate in groups.get(target, {target})]
        for path in {str(one.target).rpartition(".")[0] for one in mates if one.op == "get_attr"}:
            if path in steps:
                raise LayerError(
                    f"cannot follow {made.title} to its layers: it writes into weights of {path!r} "
                    "while it runs"
                )


def _run(
    made: Record, network: nn.Module, opened: set[str], free: dict[int, tuple[int, ...]]
) -> list[ReferenceType[Tensor]]:
    """Run the network, and write down its steps; the tensors without data that it made."""
    fakes, call = Fakes(), made.call
    ledger = Ledger(made, fakes, paths(network))
    recorder = Recorder(ledger, network, opened)
    made.main_name = str(getattr(network, "main_input_name", ""))
    stand_ins = _inputs(made, ledger, free)
    fake = call.map(lambda x: stand_ins[id(x)])
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),  # so that a torch.no_grad of the network's own is seen
            untouched(network),
            fakes.running(),
            recorder.watching(),
        ):
            out = principal(network(*fake.args, **fake.kwargs))
            if isinstance(out, Tensor):
                made.graph.output(ledger.argument(out))
            else:
                flat, made.structure = flatten(out)
                made.graph.output(tuple(map(ledger.argument, flat)))
        made.conditions = fakes.conditions()
        for node, fact in made.facts.items():  # some sizes turned out to be fixed
            made.facts[node] = fact._replace(shape=fakes.settled(fact.shape))
    except Exception as error:  # any code of the network may have met what it cannot handle
        raise _refusal(network, call, error) from error
    made.graph.owning_module = cast(fx.GraphModule, made.root)  # it has what the steps name
    return [ref(x) for x in ledger.kept if isinstance(x, FakeTensor)]


def _inputs(made: Record, ledger: Ledger, free: dict[int, tuple[int, ...]]) -> dict[int, Tensor]:
    """Fakes for the tensors of the example, by their id, each with a step of its own."""
    tensors = {name: x for name, x in made.values.items() if isinstance(x, Tensor)}
    if not tensors:
        raise LayerError(f"{made.title} is given no tensor; inputs are tensors, or hold some")
    stand_ins: dict[int, Tensor] = {}
    for name, x in tensors.items():
        node = made.graph.placeholder(name)
        made.names[node] = name
        fake = stand_ins[id(x)] = ledger.fakes.of(x, name, free[id(x)])
        ledger.meet(fake, node)
        for axis, size in enumerate(made.facts[node].shape):
            if not isinstance(size, int):
                made.symbols.setdefault(size, (node, axis))
    ledger.device = tensors[str(made.main.target)].device
    return stand_ins


def _refusal(network: nn.Module, call: Call, error: Exception) -> LayerError:
    """What is said of a network that could not be recorded, and whether it runs at all."""
    title, place = title_of(network), place_of(error)
    why = str(error).strip().partition("\n")[0]
    if depends_on_values(error):
        remedy = "its steps must not depend on the values in its input"
        if makes_nested(error):
            remedy = "make its nn.TransformerEncoder with enable_nested_tensor=False"
        return ValuesError(
            f"cannot follow {title} to its layers: its control flow depends on data{place}; "
            f"{remedy}"
        )
    if "TorchScript" in why:
        return ValuesError(
            f"cannot follow {title} to its layers: it calls code of torch.jit, whose steps cannot "
            f"be recorded{place}"
        )
    try:
        with torch.no_grad(), untouched(network):
            real = call.map(Tensor.clone)
            network(*real.args, **real.kwargs)
    except Exception as own:  # the network does not run on these inputs, either
        shapes = ", ".join(str(tuple(x.shape[1:])) for x in call.tensors())
        why = str(own).strip().partition("\n")[0]
        return LayerError(
            f"{title} does not take input of shape {shapes} ({why}{place_of(own)}); "
            "give input_shape=(C, H, W), or inputs= as it takes them"
        )
    return ValuesError(f"cannot follow {title} to its layers: {why}{place}")
