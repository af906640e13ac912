"""Where a network can be cut, and the cut itself: train -> record -> cut -> stitch."""

import operator
import warnings
from functools import partial
from typing import NamedTuple

import torch
from torch import fx, nn

from frankenstein.surgery.assemble import Part, assemble, needed, sharing, written
from frankenstein.surgery.fakes import numbers
from frankenstein.surgery.inputs import Inputs, images_of
from frankenstein.surgery.modules import title_of, unwrapped
from frankenstein.surgery.record import known_call, record
from frankenstein.surgery.refusal import LayerError, ValuesError
from frankenstein.surgery.replay import replayed
from frankenstein.surgery.sized import for_all_sizes
from frankenstein.surgery.steps import Record, called, detached, once

_LEAKS_NAMED = 3
_CONTEXT = {"size", "device"}  # steps that ask for no more of a tensor
_IMAGENET = (3, 224, 224)
_IDS = (torch.int8, torch.int16, torch.int32, torch.int64)  # an image is uint8
_ARITHMETIC = frozenset(["add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow"])


class Cut(NamedTuple):
    """The halves of a network; `end(front(x))` is `network(x)` bit for bit."""

    front: nn.Module
    end: nn.Module


def cut(network: nn.Module, after: str, inputs: Inputs | None = None) -> Cut:
    """The part of a network up to a layer, that layer included, and the part behind it.

    Both are graphs that share the network's weights and the modes of its layers; the network is
    left as it was, and neither half writes into its input. Layers are named as torchvision's
    feature extraction names them (`layer1.0.add`), blocks as their module (`layer1`). What depends
    on `self.training` outside of a module of its own, such as functional dropout, is as at
    evaluation.

    `inputs` is a batch as the network takes it: a tensor, a tuple, or a dict of arguments by name.
    Without it `network.input_shape` tells what it takes, or what it was recorded with before. The
    front takes what the network does. The end takes a representation, `end(z)`, and makes sizes,
    masks and positions for itself; where it needs an input for that, `end(z, **batch)`. Of several
    outputs it gives the logits or the last hidden state, if one is called so; else all of them.

    A network whose steps depend on values, or cannot be recorded for another reason, is cut behind
    a module, if what is in front of that does not depend on them: its halves run the network itself
    (`surgery.replay`). One whose code makes numbers of the batch size has a part of its halves for
    every size that they meet (`surgery.sized`).

    Both prove themselves on their first batch: what was recorded runs once beside the network.
    Cut a network as it is to stay: halves share its weights and modules and follow what is written
    into them. They say so if one of these was replaced since, as `.to(device)` does with tensors
    that are no parameters. Flags and numbers that its code reads are as they were, until it
    is cut again. Gradients through halves are the network's, but for parameters inside of a
    reentrant checkpoint whose input carries none: those get theirs. A copy (`copy.deepcopy`) has
    weights of its own; a half is not pickled.

    Raises:
        LayerError: if data goes around that layer, with the tensors that leak and the nearest cut
            points; if there is no such layer; if the network's control flow depends on data. Of a
            half: if the recorded steps are not the network's, or it is called in another way.

    >>> import torch
    >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> front, end = cut(network, after="1")
    >>> x = torch.ones(5, 4)
    >>> torch.equal(end(front(x)), network(x))
    True
    """
    try:
        steps = record(network, inputs)
    except ValuesError as error:
        if inputs is None and known_call(network) is None:
            raise  # there is nothing to try it on
        return Cut(*replayed(network, after, inputs, error))
    _point(steps, after)
    return Cut(
        front=for_all_sizes(steps, network, partial(_front, after=after)),
        end=for_all_sizes(steps, network, partial(_end, after=after), behind=True),
    )


def _front(steps: Record, network: nn.Module, after: str) -> nn.Module:
    layer, nodes = _point(steps, after), steps.nodes
    return Part(lambda: assemble(steps, network, nodes[: nodes.index(layer) + 1], layer))


def _end(steps: Record, network: nn.Module, after: str) -> nn.Module:
    layer = _point(steps, after)
    nodes, result = behind(steps, layer), steps.nodes[-1].args[0]
    return Part(lambda: assemble(steps, network, nodes, result, entrance=layer))


def behind(steps: Record, layer: fx.Node) -> list[fx.Node]:
    """The steps of what lies behind a cut point, and of what it needs beside the activations."""
    nodes = steps.nodes
    place = nodes.index(layer)
    # Constants, such as a class token, and context, such as a mask, belong to both halves.
    moving, _ = _activations(steps)
    return [node for node in nodes[:place] if node not in moving] + nodes[place + 1 : -1]


def _point(steps: Record, after: str) -> fx.Node:
    """The step that gives what goes from the front to the end.

    Raises:
        LayerError: unless the layer is a cut point.
    """
    layer, points = steps.find(after), narrows(steps)
    if layer in points:
        return detached(layer)
    around = leaks(steps, layer)
    if layer.op == "placeholder":
        reason = "that is the input, not a layer"
    elif not carriers(steps).get(layer):
        reason = "it is not on the way from the input to the output"
    elif around:
        ways = [f"{steps.name(a)!r} goes around it to {steps.name(b)!r}" for a, b in around.items()]
        more = len(ways) - _LEAKS_NAMED
        reason = ", ".join(ways[:_LEAKS_NAMED]) + (f", and {more} more" if more > 0 else "")
    else:
        reason = "it gives several tensors"
    raise LayerError(
        f"cannot cut {steps.title} after {steps.name(layer)!r}: {reason}; "
        + _nearest(steps, layer, points)
    )


def _nearest(steps: Record, layer: fx.Node, points: list[fx.Node]) -> str:
    """The cut points next to a layer, as the end of a message."""
    nodes = steps.nodes
    before = [node for node in points if nodes.index(node) < nodes.index(layer)][-1:]
    behind = [node for node in points if nodes.index(node) > nodes.index(layer)][:1]
    names = [repr(steps.name(node)) for node in before + behind]
    return f"nearest cut points: {', '.join(names)}" if names else "it has no cut point"


def cut_points(
    network: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    inputs: Inputs | None = None,
) -> dict[str, tuple[int, ...]]:
    """The layers after which `cut` is allowed, in order of execution, with one example's shape.

    Shapes leave out the batch axis. They are those of `inputs`, or of an input of `input_shape`,
    which is the network's own where it has one, else what it was recorded with before, else
    3 x 224 x 224, which a warning says. A layer whose first axis is not the batch (windows of an
    image, say) is left out.

    Raises:
        LayerError: if the network does not take that input, or its control flow depends on data.

    >>> cut_points(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), input_shape=(4,))
    {'0': (3,), '1': (3,)}
    """
    if input_shape is not None:
        inputs = images_of(network, input_shape).args
    guessed = input_shape is inputs is None and known_call(network) is None
    if guessed:
        inputs = images_of(network, _IMAGENET).args
    steps = record(network, inputs)
    if guessed:
        warnings.warn(
            f"nothing says what {title_of(unwrapped(network))} takes, so shapes are those of "
            f"images of {' x '.join(map(str, _IMAGENET))}; name input_shape or inputs",
            stacklevel=2,
        )
    points = narrows(steps)
    sizes = {size: number for size, number in steps.sizes().items() if size != steps.batch}
    shapes = {node: steps.facts[node].shape for node in points}
    return {
        steps.name(node): numbers(shapes[node][1:], sizes)
        for node in points
        if shapes[node][:1] == (steps.batch,)
    }


def shape_after(network: nn.Module, layer: str, inputs: Inputs | None = None) -> tuple[int, ...]:
    """The shape of one example behind a layer or a block, as `cut_points` has it.

    Raises:
        LayerError: if its first axis is not the batch.
    """
    points = cut_points(network, inputs=inputs)
    if layer not in points:
        steps = record(network, inputs)
        shape = points.get(steps.names.get(steps.find(layer), ""))
        if shape is None:
            raise LayerError(
                f"cannot stitch {steps.title} after {layer!r}: its first axis is not the batch; "
                "`cut_points` lists the layers where it is"
            )
        return shape
    return points[layer]


@once
def carriers(steps: Record) -> dict[fx.Node, list[fx.Node]]:
    """The steps that hold activations, with the steps that use them, in order of execution.

    A step that nothing uses on the way to the output is not among the users. Ids are among the
    steps, with those in which activations begin.
    """
    found, starts = _activations(steps)
    return {steps.main: starts} | found


@once
def _activations(steps: Record) -> tuple[dict[fx.Node, list[fx.Node]], list[fx.Node]]:
    """The steps that hold activations, each with its users; and those in which ids become some.

    Activations start from the main input; if that is ids of tokens, whole numbers that are no
    uint8, where weights meet them or they are made fractions. Sizes are none, nor are masks and
    positions that are made of such an input.
    """
    nodes = steps.nodes
    position = {node: i for i, node in enumerate(needed(nodes, nodes[-1:]))}
    ids = steps.facts[steps.main].dtype in _IDS
    touched: set[fx.Node] = set()
    counts: set[fx.Node] = set()  # ids, and numbers that are made of them
    starts: list[fx.Node] = []
    found: dict[fx.Node, list[fx.Node]] = {}
    groups = sharing(nodes)
    written_by: dict[fx.Node, fx.Node] = {}  # memory that holds activations since that step
    for node in position:
        if _CONTEXT & node.meta.keys() or node.op == "get_attr":
            continue
        sources = node.all_input_nodes
        if node is steps.main or not touched.isdisjoint(sources):
            touched.add(node)
        numbers = node is steps.main or not counts.isdisjoint(sources)
        dtype = steps.facts[node].dtype if node in steps.facts else None
        if numbers and dtype in _IDS:
            counts.add(node)
        fractions = numbers and dtype is not None and dtype.is_floating_point
        if fractions and called(node) not in _ARITHMETIC:  # such as an entry that ids choose
            fractions = not any(_is_float(steps, source) for source in sources)
        begins = node is steps.main
        if ids:
            begins = node in touched and (steps.has_weights(node) or fractions)
        if begins and numbers:
            starts.append(node)
        writers = {written_by[source] for source in sources if source in written_by}
        for writer in writers:
            found[writer].append(node)
        if begins or writers or any(source in found for source in sources):
            found[node] = [
                user for user in node.users if user in position and not _CONTEXT & user.meta.keys()
            ]
            memory = (mate for target in written(node) for mate in groups.get(target, {target}))
            written_by |= {
                one: node for one in memory if position.get(one, len(nodes)) < position[node]
            }
    users = {node: sorted(set(one), key=position.__getitem__) for node, one in found.items()}
    return users, starts


def _is_float(steps: Record, node: fx.Node) -> bool:
    return node in steps.facts and steps.facts[node].dtype.is_floating_point


@once
def narrows(steps: Record) -> list[fx.Node]:
    """The cut points in order of execution: steps whose tensor is all that later ones build on."""
    position = {node: i for i, node in enumerate(steps.nodes)}
    found: list[fx.Node] = []
    horizon = 0  # the last use of anything computed before
    for node, users in carriers(steps).items():
        last = position[users[-1]] if users else 0
        inner = node.op not in ("placeholder", "output") and node in steps.names
        one = node in steps.facts and not is_several(node)
        one = one and steps.facts[node].dtype not in _IDS
        if inner and one and horizon <= position[node] < last:
            found.append(node)
        horizon = max(horizon, last)
    return found


def leaks(steps: Record, at: fx.Node) -> dict[fx.Node, fx.Node]:
    """The steps whose data goes around a cut after `at`, each with its first user beyond."""
    position = {node: i for i, node in enumerate(steps.nodes)}
    found: dict[fx.Node, fx.Node] = {}
    for node, users in carriers(steps).items():
        beyond = [user for user in users if position[user] > position[at]]
        if beyond and position[node] < position[at]:
            found[node] = beyond[0]
    return found


def is_several(node: fx.Node) -> bool:
    """Whether a step gives several tensors (chunk, MultiheadAttention), told by its users."""
    return any(
        user.target is operator.getitem and isinstance(user.args[1], int) for user in node.users
    )
