"""How alike are the layers of two networks: one pass over the data for all pairs."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.activations import Activations, activations_of
from frankenstein.activations.rows import reading_rows
from frankenstein.buffers import kept_buffers
from frankenstein.data import ImageData
from frankenstein.data.examples import Examples, joined
from frankenstein.data.fits import TAKEN_ERRORS, check_taken
from frankenstein.data.loaders import check_batches
from frankenstein.data.padding import there_of
from frankenstein.errors import UserError
from frankenstein.measures import LayerSimilarities
from frankenstein.networks.network import Network
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.shapes import Tokens, has_tokens, per_sample, tokens_of
from frankenstein.similarity.shown import Shown, Side, module_of, shown_to
from frankenstein.similarity.two_loaders import are_two, shown_to_each
from frankenstein.surgery import LayerError
from frankenstein.surgery.blocks import telling_layers
from frankenstein.surgery.inputs import Call
from frankenstein.surgery.read import MODULES, Fold, Read, Wanted, reading

Layers = Mapping[str, Tensor]  # {layer: (N, ...)}
Watch = Callable[[Layers, Layers, Tensor], object]

_KEYS = ("image", "images", "input", "inputs", "x", "pixel_values", "input_ids")
_LABELS = ("label", "labels", "y", "target", "targets")
_NONE = -100  # a label that is none
_BLOCKS, _ALIKE = 8, 3.0  # least blocks that tell an order, and F of their means that does
_BLOCK = 64
_SOME = 64  # examples that a network's layers are looked up with
_WHOLE = 512  # inputs that are one block by themselves
_ROOM = 2**23  # if they hold no more numbers: 512 images of 3 x 73 x 73


class OrderWarning(UserWarning):
    """Examples come in an order that an estimate from blocks of them feels."""


def similarity_matrix(
    sender: Any,
    receiver: Any,
    batches: Iterable[Any] | ImageData | None = None,
    measure: str = "unbiased_cka",
    sender_layers: Wanted | None = None,
    receiver_layers: Wanted | None = None,
    flattening: str | None = None,
    block: int | None = None,
    limit: int = 2000,
    device: torch.device | str | None = None,
) -> LabelledMatrix:
    """A measure, by name, of every layer of one network with every layer of another.

    Any two modules and any iterable of batches will do: tensors, tuples whose first is the input,
    or dicts with it. So will two networks of `open_network` and the data that `data_for` makes for
    both: then each sees the held-out images in its own way. On either side activations that are
    there already will do, too: an array (N, ...), {layer: array}, or what `open_activations` gives.
    Beside a network their rows are its inputs, in the order of the loader, or of the data set's
    held-out images; two such sides need no batches. Two loaders (or data sets), of the sender and
    of the receiver, are taken if they give the same examples: as many, each with the same input or
    the same label, row by row of their data (labels cannot tell two examples of one class apart;
    row numbers as labels can). Layers are names, globs ("layer1.*", in
    which "*" crosses dots), "blocks", "modules" or "cut points"; see `reading`. If none are named,
    there is one for each block of a deep network, else all cut points, and all modules of a network
    that cannot be cut.
    Networks are in evaluation mode for the pass and come back as they were: no hooks, mode, device.

    Each measure flattens as `LayerSimilarities` says unless a flattening is named. Unbiased CKA per
    sample is estimated from blocks of `block` examples, whatever the size of the batches. If none
    is named, up to 512 inputs (of no more than 2²³ numbers together) are one block, which is the
    measure exactly, and more are blocks of 64, which is an estimate of it: see benchmarks/ for
    how far off. It holds for examples in random order; a warning tells of inputs that lie class by
    class, of which a block holds too few. A layer leaves memory as soon as its Gram matrix is made.
    Measures that need the examples themselves keep at most `limit`.

    Raises:
        LayerError: for a layer that a network does not have, or that is not one tensor.
        UserError: for an unknown measure, a batch without an input, or NaN or Inf in a layer.

    >>> from torch.nn import Linear, ReLU, Sequential
    >>> one, other = (Sequential(Linear(3, 8), ReLU(), Linear(8, 2)) for _ in range(2))
    >>> matrix = similarity_matrix(one, other, [torch.randn(20, 3)], "linear_cka", ["0", "1"], "*")
    >>> matrix.rows, matrix.columns, matrix.flattening
    (('0', '1'), ('0', '1', '2'), 'pooled')
    """
    if not isinstance(measure, str):
        raise UserError(f"one measure by name, got {measure!r}; similarity_matrices takes several")
    every = similarity_matrices(
        sender,
        receiver,
        batches,
        [measure],
        sender_layers,
        receiver_layers,
        flattening,
        block,
        limit,
        device,
    )
    return every[measure]


def similarity_matrices(
    sender: Any,
    receiver: Any,
    batches: Iterable[Any] | ImageData | None,
    measures: Sequence[str],
    sender_layers: Wanted | None = None,
    receiver_layers: Wanted | None = None,
    flattening: str | None = None,
    block: int | None = None,
    limit: int = 2000,
    device: torch.device | str | None = None,
    watch: Watch | None = None,
) -> dict[str, LabelledMatrix]:
    """As `similarity_matrix`, of several measures in one pass, by name.

    `watch` is told of every batch of the pass: all layers of each network, and the inputs. Without
    it, a layer is let go as soon as what the measures take of it is made, where they do not depend
    on whether all layers lie on one grid, as unbiased CKA does not.
    """
    sides = [_side(sender, "sender", sender_layers), _side(receiver, "receiver", receiver_layers)]
    if are_two(batches):
        shown, *each = shown_to_each(sides, batches)  # type: ignore[arg-type]
    else:
        shown = shown_to(sides, batches)
        each = [shown, shown]
    device = device or _home(sides)
    with (
        reader_of(sides[0], sender_layers, each[0], device) as ours,
        reader_of(sides[1], receiver_layers, each[1], device) as theirs,
        kept_buffers(),
    ):
        block = block or shown.block
        return labelled(
            measure_layers(
                *(ours, theirs, shown.batches, measures),
                *(flattening, block, limit, watch),
                padded=shown.padded,
            )
        )


@contextmanager
def reader_of(
    side: Side, layers: Wanted | None, shown: Shown, device: torch.device | str | None
) -> Iterator[Read]:
    """Inside, a function from batches to {layer: (N, ...)}, of a network or of activations."""
    if isinstance(side, Activations):
        assert shown.order is not None
        with reading_rows(side, shown.order, device or "cpu") as rows:
            yield rows
        return
    module, look = module_of(side), shown.look(side)
    wanted = layers or usual_layers(module, look, shown.first)
    with reading(module, wanted, device) as read:
        read = masked(told_what_is_not_taken(read, module), layers)
        yield behind(shown.part, behind(look, read))


def _side(given: Any, role: str, layers: Wanted | None) -> Side:
    found = None if isinstance(given, nn.Module | Network) else activations_of(given, role)
    return given if found is None else found.of(layers)


def _home(sides: Iterable[Side]) -> torch.device | None:
    """Where the network beside activations lies, so that they come to it; None without one."""
    networks = [side for side in sides if not isinstance(side, Activations)]
    if len(networks) != 1:
        return None
    module = networks[0].module if isinstance(networks[0], Network) else networks[0]
    return next((tensor.device for tensor in module.parameters()), None)


def usual_layers(module: nn.Module, look: nn.Module | None, first: Any) -> Wanted | None:
    """What is compared of a network if nothing is named, as `telling_layers` has it.

    Of a network that cannot be cut, because its steps depend on values, all of its modules; a
    warning says so.
    """
    if first is None or not isinstance(module, nn.Module):
        return None
    seen = first if look is None else look(first)
    home = next(chain(module.parameters(), module.buffers()), torch.empty(0))
    floats = home.is_floating_point()
    change = lambda x: x.to(home.device, home.dtype if floats and x.is_floating_point() else None)  # noqa: E731
    call = Call.of(seen[:_SOME]).map(change)
    try:
        return telling_layers(module, call.kwargs or call.args)
    except LayerError as error:
        check_taken(module, type(module).__name__, seen[:_SOME])
        warnings.warn(f"{error}; its modules are compared instead", stacklevel=5)
        return MODULES


def told_what_is_not_taken(read: Read, module: nn.Module) -> Read:
    """The reader, which says of a batch that the network does not take what it is."""

    def told(inputs: Any, fold: Any = None) -> dict[str, Any]:
        try:
            return read(inputs, fold)
        except UserError:
            raise
        except TAKEN_ERRORS as error:
            check_taken(module, type(module).__name__, inputs)
            raise error

    return told


def behind(look: nn.Module | None, read: Read) -> Read:
    """The reader of a network that has a look at images first."""
    if look is None:
        return read
    return lambda images, fold=None: read(look(images), fold)


def masked(read: Read, wanted: Wanted | None = None) -> Read:
    """The reader, whose layers of padded text know which of their tokens are there.

    Layers that were not named, and of which nobody knows what is padding, are left out.
    """
    named = [wanted] if isinstance(wanted, str) else list(wanted or [])
    chosen: list[str] = []

    def read_masked(inputs: Any, fold: Fold | None = None) -> dict[str, Any]:
        there = there_of(inputs)
        if there is None:
            return read(inputs, fold)
        if fold is not None:
            raise UserError(
                "a batch has an attention_mask and the first had none; give it with all"
            )
        layers = read(inputs)
        if not chosen:
            chosen.extend(s for s, z in layers.items() if s in named or has_tokens(z, there))
        some = {name: layers[name] for name in chosen} or layers
        return {s: tokens_of(z, there.to(z.device), repr(s)) for s, z in some.items()}

    return read_masked


@torch.no_grad()
def measure_layers(
    ours: Read,
    theirs: Read,
    batches: Iterable[Any],
    measures: Sequence[str],
    flattening: str | None = None,
    block: int | None = None,
    limit: int = 2000,
    watch: Watch | None = None,
    one_a_side: bool = False,
    padded: bool = False,
) -> LayerSimilarities:
    """Layers as two functions give them, from inputs to {layer: (N, ...)}, in one pass.

    Of `one_a_side` each measure takes its own first flattening, unless one is named; but maps and
    tokens are pooled over places for measures that count places, if the two do not lie on the same
    grid. Nothing is estimated from blocks then, nor of sentences of several lengths, `padded`,
    which batches with an `attention_mask` are by themselves.

    Raises:
        ShapeError: if the two have different numbers of rows.
        UserError: as `similarity_matrix` does.
    """

    def empty(one_grid: bool = True, size: int | None = 64) -> LayerSimilarities:
        if not one_a_side:
            return LayerSimilarities(measures, flattening, size, limit, padded=padded)
        alone: dict[str, Any] = {"one_grid": one_grid, "padded": padded, "shared_up_to": 0}
        return LayerSimilarities(measures, flattening, None, limit, **alone)

    check_batches(batches)
    padded, batches = peek(batches, padded)
    kept = empty()  # first: it says what is wrong
    if padded and kept.needs_inputs:
        raise UserError(
            "deconfounded_cka takes out what inputs explain, and tokens are no quantities; take "
            "another measure"
        )
    from_grams = not padded and any(kept.kind(one) == "grams" for one in kept.flattenings)
    labels = _Labels()
    given = labels.noted(batches) if kept.needs_labels else batches
    size, inputs_of_all = in_blocks(given, block if from_grams else 1)
    order = Order(size)
    # Each layer is let go when it is there, unless somebody wants them all side by side.
    at_once = watch is None and not kept.needs_inputs and not one_a_side and not padded
    at_once &= kept.flattenings == empty(False).flattenings
    kept = empty(size=size) if at_once else kept
    for inputs in map(input_of, given) if padded else inputs_of_all:
        if kept.needs_inputs and isinstance(inputs, Examples):
            raise UserError(
                "deconfounded_cka takes out what inputs explain, and these are several tensors; "
                "take another measure"
            )
        quantities = isinstance(inputs, Tensor) and inputs.is_floating_point()
        if from_grams and quantities and inputs.numel():
            order.update(inputs)
        classes = labels.take(len(inputs)) if kept.needs_labels else None
        if at_once:
            folds = ours(inputs, partial(kept.fold, "x")), theirs(inputs, partial(kept.fold, "y"))
            kept.add(*folds, labels=classes)
            continue
        xs, ys = ours(inputs), theirs(inputs)
        inputs = inputs.to(next(iter(xs.values())).device)
        if not kept.rows:
            grids = {_grid(z) for z in [*xs.values(), *ys.values()]}
            kept = empty(len(grids) == 1, None if padded else size)
        kept.update(xs, ys, inputs if kept.needs_inputs else None, classes)
        if watch is not None:
            watch(xs, ys, inputs)
    order.check()
    return kept


class _Labels:
    """The classes of inputs that go by, to be taken as these come back in other batches."""

    def __init__(self) -> None:
        self._seen: list[Tensor] = []

    def noted(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The same batches, each with its labels noted."""
        for batch in batches:
            labels = labels_of(batch)
            if bool((labels == _NONE).any()):
                raise UserError(
                    "measures within classes take one class of each example, and these have none, "
                    "or are next tokens; give sentences a column `label`, and take networks that "
                    "do not tell the next token"
                )
            self._seen.append(labels)
            yield batch

    def take(self, n: int) -> Tensor:  # (n,)
        """The classes of the next n inputs."""
        all_seen = torch.cat(self._seen)
        self._seen = [all_seen[n:]]
        return all_seen[:n]


class Order:
    """Whether inputs of one block are more alike than those of several, as if they lay by class."""

    def __init__(self, size: int) -> None:
        self.size, self._blocks = size, 0
        self._sums: list[Any] = [0.0, 0.0, 0.0]  # of means, of their squares, of variances within

    def update(self, inputs: Tensor) -> None:
        """Add a batch of whole blocks; a block that is not full is left out."""
        for block in inputs.split(self.size):
            if len(block) == self.size:
                rows = per_sample(block).double()
                if not self._blocks:
                    self._shift = rows.mean(0)
                self._blocks += 1
                rows = rows - self._shift
                mean = rows.mean(0)
                square = mean.square().sum()
                within = (rows.square().sum() - self.size * square) / (self.size - 1)
                new = (mean, square, within)
                self._sums = [total + one for total, one in zip(self._sums, new, strict=True)]

    def check(self) -> None:
        """Warn if means of blocks vary more than those of random examples would."""
        if self._blocks < _BLOCKS:
            return
        means, squares, within = self._sums
        between = (squares - means.square().sum() / self._blocks) / (self._blocks - 1)
        times = self.size * between * self._blocks / within
        if float(times) > _ALIKE:
            warnings.warn(
                f"successive inputs are alike: means of {self.size} vary {times:.0f} times as much "
                "as in random order, and unbiased_cka is estimated from such blocks; shuffle them, "
                "or take a block of all",
                OrderWarning,
                stacklevel=3,
            )


def labelled(
    similarities: LayerSimilarities, one_a_side: bool = False
) -> dict[str, LabelledMatrix]:
    """Every measure as a matrix that says what it is.

    Raises:
        ShapeError: of `one_a_side`, if a measure cannot compare them; else such a value is NaN.
        UserError: if there are no examples, or NaN or Inf in the layer that is named.
    """
    rows, columns = similarities.rows, similarities.columns
    if one_a_side and rows:
        pair = rows[0], columns[0]
        values = {
            name: similarities.value(name, *pair).double().reshape(1, 1)
            for name in similarities.flattenings
        }
    else:
        values = similarities.values()
    return {
        name: LabelledMatrix(
            matrix,
            rows,
            columns,
            name,
            similarities.flattenings[name],
            similarities.examples(name),
            similarities.block if similarities.kind(name) == "grams" else None,
        )
        for name, matrix in values.items()
    }


def bytes_of_one(layers: Layers) -> int:
    """What one example of these layers takes, in float32."""
    return sum(4 * z[0].numel() for z in layers.values())


def _grid(z: Tensor | Tokens) -> tuple[int, ...]:
    """What it lies on, as (H, W) or (T,), or the lengths of sentences; () of vectors."""
    if isinstance(z, Tokens):
        return tuple(z.there.sum(1).tolist())
    return z.shape[2:] if z.ndim == 4 else z.shape[1:-1]


def peek(batches: Iterable[Any], padded: bool) -> tuple[bool, Iterable[Any]]:
    """Whether batches say which of their tokens are there, and all of these batches."""
    if padded:
        return True, batches
    rest = iter(batches)
    first = [*islice(rest, 1)]
    return any(there_of(input_of(one)) is not None for one in first), chain(first, rest)


def in_blocks(
    batches: Iterable[Any], block: int | None = None, most: int | None = None
) -> tuple[int, Iterator[Tensor]]:
    """The size of a block, and the inputs in batches of nearly the same size that hold whole ones.

    Only the last may end within a block, so that blocks are the same whatever the batch size. A
    batch has nearly as many inputs as before, and where `most` is less, nearly that. Unless a size
    is given, up to 512 inputs, if they are small, are one block; more are blocks of 64.
    """
    inputs = map(input_of, batches)
    if block is not None:
        return block, _filled(inputs, block, most)
    first: list[Tensor] = []
    for new in inputs:
        first.append(new)
        if sum(map(len, first)) > _WHOLE or sum(z.numel() for z in first) > _ROOM:
            return _BLOCK, _filled(chain(first, inputs), _BLOCK, most)
    whole = max(4, sum(map(len, first)))
    return whole, _filled(iter(first), whole)


def _filled(inputs: Iterator[Tensor], block: int, most: int | None = None) -> Iterator[Tensor]:
    held: list[Tensor] = []
    size = 0
    for new in inputs:
        size = size or block * max(1, round(min(len(new), most or len(new)) / block))
        held.append(new)
        if (count := sum(map(len, held))) >= size:
            whole = joined(held)
            ends = range(size, count + 1, size)
            yield from (whole[end - size : end] for end in ends)
            held = [whole[ends[-1] :]] if ends[-1] < count else []
    if held:
        yield joined(held)


def labels_of(batch: Any) -> Tensor:  # (N,), or (N, L) of several labels
    """The labels in a batch: the second of a tuple, or one in a dict by its usual name.

    Raises:
        UserError: if there are none.

    >>> labels_of({"image": torch.zeros(3, 1), "label": torch.tensor([1, 0, 1])})
    tensor([1, 0, 1])
    """
    given = None
    if isinstance(batch, Mapping):
        given = next((batch[key] for key in _LABELS if key in batch), None)
    elif isinstance(batch, list | tuple) and len(batch) > 1:
        given = batch[1]
    if not isinstance(given, Tensor):
        raise UserError(
            "a measure within classes takes the class of each example: batches of (inputs, labels) "
            f"or dicts with {', '.join(map(repr, _LABELS))}, got {type(batch).__name__}"
        )
    return given


def input_of(batch: Any) -> Any:
    """The input in a batch: a tensor, the first of a tuple, or one in a dict by its usual name.

    Of a dict that says which of its tokens are there, all tensors but labels.

    Raises:
        UserError: if there is none.

    >>> input_of({"image": torch.zeros(3, 1), "label": torch.zeros(3)}).shape
    torch.Size([3, 1])
    """
    given = batch
    if isinstance(batch, Examples):
        return batch
    if isinstance(batch, Mapping) and isinstance(batch.get("attention_mask"), Tensor):
        return Examples({k: z for k, z in batch.items() if isinstance(z, Tensor) and k != "labels"})
    if isinstance(batch, dict):
        given = next((batch[key] for key in _KEYS if key in batch), None)
        if given is None:
            raise UserError(
                f"a batch is a dict with {', '.join(map(repr, _KEYS))}, got {list(batch)}; "
                "give the inputs as tensors"
            )
    elif isinstance(batch, list | tuple) and batch:
        given = batch[0]
    if not isinstance(given, Tensor | Examples):
        raise UserError(
            "a batch is a tensor, a tuple that begins with one, or a dict, "
            f"got {type(given).__name__}"
        )
    return given
