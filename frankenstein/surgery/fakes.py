"""Tensors without data and sizes without a number: what recording needs of torch.

Every private name of torch that the project uses for it stands here, and nowhere else. There is no
public way: torch.export and torch.compile are made of these parts, so they stay, but a release may
move one. The suite runs on the oldest and on the newest torch that is supported.
"""

import logging
import math
import operator
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import FrameSummary
from typing import Any

import torch
from sympy import Eq, Integer, sympify, true
from torch import Tensor, fx
from torch._C import DisableTorchFunction
from torch._dispatch.python import enable_python_dispatcher
from torch._guards import GuardSource, Source
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,  # mostly one that looks at values
    in_kernel_invocation_manager,
    unset_fake_temporarily,
)
from torch.distributions import Distribution
from torch.fx.experimental.symbolic_shapes import (
    DimDynamic,
    GuardOnDataDependentSymNode,
    ShapeEnv,
    SLoc,
    StatelessSymbolicContext,
)
from torch.fx.graph import CodeGen
from torch.fx.proxy import GraphAppendingTracer
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._sympy.interp import sympy_interp
from torch.utils._sympy.reference import PythonReferenceAnalysis
from torch.utils._sympy.symbol import SymT, symbol_is_type

from frankenstein.lazy import importing

__all__ = [
    "CodeGen",
    "DisableTorchFunction",
    "FakeTensor",
    "Fakes",
    "GetSetDescriptor",
    "TorchFunctionMode",
    "alias",
    "pytree",
    "size_steps",
    "without_fakes",
]

Shape = tuple[Any, ...]  # sizes: numbers, and expressions of symbols for those that are free

GetSetDescriptor = types.GetSetDescriptorType
_LOG = logging.getLogger("torch._subclasses.fake_tensor")
_ASKED_FOR_A_VALUE = (
    *(DataDependentOutputException, DynamicOutputShapeException, GuardOnDataDependentSymNode),
    UnsupportedOperatorException,
)
_READ = (SymT.UNBACKED_INT, SymT.UNBACKED_FLOAT)
SIZES = (torch.SymInt, torch.SymFloat, torch.SymBool)


@dataclass(frozen=True)
class _Input(Source):
    """Where a size comes from, as torch's messages call it."""

    label: str

    @property
    def guard_source(self) -> GuardSource:
        return GuardSource.CONSTANT

    @property
    def _name_template(self) -> str:
        return self.label


_NOWHERE = SLoc(FrameSummary("", 0, ""), None)


class _Sizes(ShapeEnv):
    """Sizes that do not look for the line of code that each comes from.

    It would be told in torch's own messages alone, and finding it imports the compiler.
    """

    def _get_stack_summary(self, *_: Any, **__: Any) -> tuple[SLoc, str]:
        return _NOWHERE, ""


class Fakes:
    """A world in which tensors have shape, dtype and device, and the free sizes are symbols."""

    def __init__(self) -> None:
        with importing():  # the first time the compiler is imported
            self.sizes = _Sizes()
            self.mode = FakeTensorMode(shape_env=self.sizes, allow_non_fake_inputs=True)

    def of(self, x: Tensor, name: str, free: Iterable[int]) -> Tensor:
        """A fake of this tensor, these axes of which have any length; equal lengths are one."""
        free = set(free)
        axes = [DimDynamic.DYNAMIC if i in free else DimDynamic.STATIC for i in range(x.ndim)]
        return self.mode.from_tensor(
            x.detach(), source=_Input(name), symbolic_context=StatelessSymbolicContext(axes)
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Every tensor that is made inside is a fake one."""
        # It logs what is raised as well. Autocast would keep fakes of weights for later calls.
        logs, _LOG.disabled = _LOG.disabled, True
        casts = {kind: torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda")}
        for kind in casts:
            torch.set_autocast_enabled(kind, False)
        checks = Distribution._validate_args  # of values, before each distribution is made
        Distribution.set_default_validate_args(False)
        try:
            # Without the Python dispatcher F.pad and others fix the batch at the example's.
            with enable_python_dispatcher(), self.mode, uncompiled():
                yield
        finally:
            Distribution.set_default_validate_args(checks)
            _LOG.disabled = logs
            for kind, cast in casts.items():
                torch.set_autocast_enabled(kind, cast)

    def known(self, size: Any) -> Any:
        """A size as an expression of symbols, or as the number that it was found to have to be."""
        expression = self.sizes.replace(size.node.expr)
        if not expression.is_number:
            return expression
        if isinstance(size, torch.SymBool):
            return bool(expression)
        return int(expression) if expression.is_integer else float(expression)

    def of_values(self, value: Any) -> Any:
        """The symbol of a number that was read out of a tensor, if it is one."""
        expression = value.node.expr if isinstance(value, SIZES) else None
        symbols: Iterable[Any] = getattr(expression, "free_symbols", ())
        return next((one for one in symbols if symbol_is_type(one, _READ)), None)

    def shape(self, x: Tensor) -> Shape:
        """Of a fake, with an expression for each size that is free."""
        return tuple(one if isinstance(one, int) else self.known(one) for one in x.shape)

    def settled(self, shape: Shape) -> Shape:
        """A shape with numbers for sizes that were found to be fixed since."""
        sizes = [one if isinstance(one, int) else self.sizes.replace(one) for one in shape]
        return tuple(int(one) if one.is_number else one for one in map(sympify, sizes))

    def conditions(self) -> list[Any]:
        """What the network's branches took for true of the symbols."""
        fixed = [Eq(symbol, number) for symbol, number in self.sizes.replacements.items()]
        return [guard.expr for guard in self.sizes.guards] + fixed


@contextmanager
def uncompiled() -> Iterator[None]:
    """Inside, what is compiled runs as it was written: compiled code reads memory, and fakes have
    none. And nothing is said when fakes look at tensors that carry gradients.
    """
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor that is not a leaf")
        yield


def foreseen(
    shapes: Iterable[tuple[Shape, Sequence[int]]],  # as recorded, and now
    conditions: Iterable[Any] = (),
) -> dict[Any, int] | None:
    """The symbols, if only they differ and the conditions hold of them; else None."""
    symbols: dict[Any, int] = {}
    rest: list[tuple[Any, int]] = []
    for recorded, now in shapes:
        if len(recorded) != len(now):
            return None
        for size, length in zip(recorded, now, strict=True):
            if getattr(size, "is_Symbol", False):
                rest.append((size, symbols.setdefault(size, int(length))))
            rest.append((size, int(length)))
    values = {symbol: Integer(length) for symbol, length in symbols.items()}
    try:
        for size, length in rest:
            if (size if isinstance(size, int) else size.xreplace(values)) != length:
                return None
        held = all(
            one.xreplace(values) is true for one in conditions if one.free_symbols <= symbols.keys()
        )
    except ZeroDivisionError:  # an empty batch in parts
        return None
    return symbols if held else None


def numbers(shape: Shape, symbols: Mapping[Any, int]) -> tuple[int, ...]:
    """A recorded shape where the symbols are these."""
    values = {symbol: Integer(length) for symbol, length in symbols.items()}
    return tuple(one if isinstance(one, int) else int(one.xreplace(values)) for one in shape)


def fixed(recorded: Shape, now: Sequence[int]) -> tuple[int | None, ...] | None:
    """The lengths where fixed sizes were recorded; None if they are those."""
    if len(recorded) != len(now):
        return tuple(now)
    pairs = [(a, b) for a, b in zip(recorded, now, strict=True)]
    if all(a == b for a, b in pairs if isinstance(a, int)):
        return None
    return tuple(b if isinstance(a, int) else None for a, b in pairs)


def size_steps(graph: fx.Graph, expression: Any, symbols: Mapping[Any, fx.Node]) -> fx.Node:
    """Steps that compute an expression of sizes from steps that give its symbols."""
    tracer = GraphAppendingTracer(graph)
    proxies = {s: fx.Proxy(symbols[s], tracer) for s in expression.free_symbols}
    return sympy_interp(_Steps, proxies, expression).node


class _Steps(PythonReferenceAnalysis):
    """Arithmetic that is written down, to be done with plain numbers."""


def _written(function: Callable[..., Any], count: int) -> Any:
    def step(*values: Any) -> Any:
        values = values[:count]  # a type may follow
        proxy = next((one for one in values if isinstance(one, fx.Proxy)), None)
        if proxy is None:
            return function(*values)
        return proxy.tracer.create_proxy("call_function", function, values, {})

    return staticmethod(step)


for _name, _function, _count in (
    *(("ceil_to_int", math.ceil, 1), ("floor_to_int", math.floor, 1), ("to_dtype", float, 1)),
    *(("round_to_int", round, 1), ("trunc_to_int", math.trunc, 1), ("sqrt", math.sqrt, 1)),
    *(("int_truediv", operator.truediv, 2), ("log2", math.log2, 1)),
    *(("maximum", max, 2), ("minimum", min, 2)),
):
    setattr(_Steps, _name, _written(_function, _count))


@contextmanager
def without_fakes() -> Iterator[None]:
    """Inside, tensors have data and calls are not seen, although a network is being recorded."""
    with unset_fake_temporarily(), DisableTorchFunction():
        yield


def fake_like(
    x: Tensor, shape: Sequence[Any], carries: Tensor | None = None, is_last: bool = False
) -> Tensor:
    """A fake tensor of that shape beside another one, with gradients if `carries` has some.

    It lies in memory row by row, or channels last. PyTorch's own ways take four times as long.
    """
    if carries is not None:
        return _Carried.apply(carries, x, shape, is_last)
    mode = x.fake_mode  # type: ignore[attr-defined]
    order = torch.channels_last if is_last else torch.contiguous_format
    with in_kernel_invocation_manager(mode):
        empty = torch.empty(shape, dtype=x.dtype, device="meta", memory_format=order)
    return FakeTensor(mode, empty, x.device)


class _Carried(torch.autograd.Function):
    """What carries gradients and is no leaf: it may be written into."""

    @staticmethod
    def forward(ctx: Any, carries: Tensor, x: Tensor, shape: Any, is_last: bool) -> Tensor:
        with torch.no_grad():
            return fake_like(x, shape, is_last=is_last)


_Carried.apply = _Carried.apply  # as it is before recording watches it


def same_size(one: Any, other: Any) -> bool:
    """Whether two sizes are one number or one expression, without asking it of a symbol."""
    if isinstance(one, torch.SymInt) and isinstance(other, torch.SymInt):
        return bool(one.node.expr == other.node.expr)
    return type(one) is int and type(other) is int and one == other


def alias(x: Tensor) -> Tensor:
    """The same tensor as another object."""
    with DisableTorchFunction():
        return torch.ops.aten.alias(x)


def depends_on_values(error: BaseException) -> bool:
    """Whether code asked for a value of a fake tensor, which has none."""
    return isinstance(error, _ASKED_FOR_A_VALUE) or makes_nested(error)


def makes_nested(error: BaseException) -> bool:
    """Whether code packed what a mask leaves, as TransformerEncoder does."""
    return "nested_tensor" in str(error) or "NestedTensorImpl" in str(error)
