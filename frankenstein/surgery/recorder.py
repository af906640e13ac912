"""The run in which a network is recorded: every call of torch and of a module becomes a step."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.autograd.graph import increment_version, saved_tensors_hooks
from torch.utils.checkpoint import CheckpointFunction

from frankenstein.surgery.call_names import METHODS, name_of
from frankenstein.surgery.constants import READS, read
from frankenstein.surgery.fakes import (
    DisableTorchFunction,
    FakeTensor,
    GetSetDescriptor,
    TorchFunctionMode,
)
from frankenstein.surgery.in_shape import call_in_shape, in_shape
from frankenstein.surgery.ledger import Ledger, Opens
from frankenstein.surgery.modules import (
    has_code,
    is_leaf,
    paths,
    put,
    tensors_of,
    unwrapped,
)
from frankenstein.surgery.pieces import pieces, principal, tensors_in
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.steps import (
    attached,
    without_gradients,
)

# What is done with tensors that nobody sees.
_UNSEEN = {
    Tensor.numpy: "it makes a NumPy array of a tensor",
    Tensor.__array__: "it makes a NumPy array of a tensor",
    torch.autograd.grad: "it takes gradients while it runs",
    torch.autograd.backward: "it takes gradients while it runs",
}
# Methods that take no more of a tensor than its type and place.
_NEW: dict[str, Any] = {"new_zeros": torch.zeros, "new_ones": torch.ones, "new_full": torch.full}


class Recorder(TorchFunctionMode):
    """Writes down what is called while it is on; the network's own code runs, on fake tensors.

    Modules of the paths that are `opened` are no steps: what they call is.
    """

    def __init__(self, ledger: Ledger, network: nn.Module, opened: Collection[str] = ()) -> None:
        super().__init__()
        self.opened, self.ledger = opened, ledger
        self.record, self.graph, self.fakes = ledger.record, ledger.graph, ledger.fakes
        modules = paths(network)
        self.paths = {module: path for path, module in modules.items()}
        self.own = {module: tensors_of(module) for module in modules.values()}
        self.inside = [""]  # the modules whose code runs
        self.resting = False  # inside of what is one step
        self.step: tuple[str, set[Any]] | None = None  # its path, and the tensors that are its own
        self.blind = False  # whether a hook asked for values, so that it is not known what it does
        self.writes = False  # whether the call that is seen writes into what it is given

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside, calls are seen: of torch, modules, and functions with their own gradient."""
        module_call, apply = nn.Module.__call__, torch.autograd.Function.__dict__["apply"]
        saves = saved_tensors_hooks.__enter__

        def saved(hooks: saved_tensors_hooks) -> Any:
            if type(hooks) is saved_tensors_hooks or not type(hooks).__module__.startswith(
                "torch."
            ):
                raise LayerError(
                    "it changes what is saved for gradients (saved_tensors_hooks), and its halves "
                    "would not"
                )
            return saves(hooks)

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            return self._module(module, args, kwargs)

        def applied(function: Any, *args: Any, **kwargs: Any) -> Any:
            return self._gradient(apply.__get__(None, function), function, args, kwargs)

        nn.Module.__call__ = call  # type: ignore[method-assign]
        torch.autograd.Function.apply = classmethod(applied)
        saved_tensors_hooks.__enter__ = saved  # type: ignore[method-assign]
        try:
            with self:
                yield
        finally:
            nn.Module.__call__ = module_call  # type: ignore[method-assign]
            torch.autograd.Function.apply = apply
            saved_tensors_hooks.__enter__ = saves  # type: ignore[method-assign]

    # Calls.

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.resting:
            self._inside((args, kwargs))
            return self._inside(func(*args, **(kwargs or {})), made=True)
        if (
            METHODS.get(id(func)) in READS
            and id(args[0]) in self.ledger.known.keys() | self.ledger.attributes
        ):
            found = read(
                self.record,
                self.ledger.argument(args[0]),
                METHODS[id(func)],
                args[1:],
                kwargs or {},
            )
            if found is not None:
                return found
        if func in _UNSEEN and any(isinstance(x, FakeTensor) for x in tensors_in(args)):
            raise LayerError(_UNSEEN[func])
        if func is Tensor.register_hook:
            return self._hook(args, kwargs or {})

        def run() -> Any:
            out = call_in_shape(func, args, kwargs or {})
            if func is Tensor.detach_:  # of which a tensor's version tells nothing
                increment_version(args[0])
            return out

        return self._seen(
            run,
            lambda: self._call(func, args, kwargs or {}),
            lambda: self.ledger.new(f"{self.inside[-1]}.{name_of(func)}".lstrip(".")),
            (args, kwargs),
        )

    def _call(self, func: Any, args: Any, kwargs: Any) -> fx.Node:
        of: Any = args[0] if args else None
        args, kwargs = self.ledger.argument(args), self.ledger.argument(kwargs)
        if self.writes and not torch.is_grad_enabled():
            return self.graph.call_function(without_gradients(func), args, kwargs)
        name = METHODS.get(id(func), "")
        if name in _NEW and not kwargs:
            kind = {"dtype": of.dtype, "device": self.ledger.argument(of.device)}
            return self.graph.call_function(_NEW[name], args[1:], kind)
        attribute = getattr(func, "__self__", None)
        if isinstance(attribute, GetSetDescriptor):  # x.T, x.data
            return self.graph.call_function(getattr, (args[0], attribute.__name__))
        if name:
            return self.graph.call_method(name, args, kwargs)
        return self.graph.call_function(func, args, kwargs)

    def _hook(self, args: Any, kwargs: Any) -> Any:
        """A hook on a tensor, by which a network changes a gradient or looks at it."""

        def step(x: Tensor) -> None:
            if x.requires_grad:
                Tensor.register_hook(x, *args[1:], **kwargs)

        step.__name__ = step.__qualname__ = "register_hook"
        self.graph.call_function(step, (self.ledger.argument(args[0]),)).meta["writes"] = [0]
        return Tensor.register_hook(*args, **kwargs)

    def _gradient(self, apply: Any, function: Any, args: Any, kwargs: Any) -> Any:
        """A user's autograd function is one step, or its gradient would be another."""
        if function is CheckpointFunction and not self.resting:
            function, _, *given = args
            return function(*given)
        if self.resting or function.__module__.startswith("torch."):
            self._inside((args, kwargs))
            return self._inside(apply(*args, **kwargs), made=True)

        def step(*args: Any, **kwargs: Any) -> Any:
            return function.apply(*args, **kwargs)

        step.__name__ = step.__qualname__ = function.__name__

        def run() -> Any:
            self.step = "", {id(x) for x in tensors_in((args, kwargs))}
            try:
                return self._rest(lambda: apply(*args, **kwargs))
            except Opens:
                raise LayerError(
                    f"{function.__name__} uses a tensor that it is not given"
                ) from None
            finally:
                self.step = None

        return self._seen(
            run,
            lambda: self.graph.call_function(
                step, self.ledger.argument(args), self.ledger.argument(kwargs)
            ),
            lambda: self.ledger.new(f"{self.inside[-1]}.{function.__name__}".lstrip(".")),
            (args, kwargs),
        )

    def _module(self, module: nn.Module, args: Any, kwargs: Any) -> Any:
        module = unwrapped(module)
        path = self.paths.get(module)
        # Not module(...): that may be compiled.
        run: Callable[[], Any] = lambda: module._call_impl(*args, **kwargs)  # noqa: E731
        if self.resting or path is None:
            return run()
        backward = bool(module._backward_hooks or module._backward_pre_hooks)
        if path and backward and path in self.opened:
            raise LayerError(f"{path!r} has hooks on its gradients, and more than arguments go in")
        if path and (is_leaf(module) or backward) and path not in self.opened:
            put(self.record.root, path, module)
            return self._seen(
                lambda: self._rest(lambda: self._step(module, path, args, kwargs)),
                lambda: self.graph.call_module(
                    path, self.ledger.argument(args), self.ledger.argument(kwargs)
                ),
                lambda: self.ledger.new(path, path),
                (args, kwargs),
            )
        self.inside.append(path)
        try:
            out = run()
        finally:
            self.inside.pop()
        if path:
            one = principal(out)
            node = self.ledger.known.get(id(one)) if isinstance(one, Tensor) else None
            self.record.blocks[self.ledger.new(path, path)] = attached(node) if node else None
        return out

    def _step(self, module: nn.Module, path: str, args: Any, kwargs: Any) -> Any:
        """What a module gives that is one step.

        Raises:
            Opens: if it is not, for a hook or another module brings in what was computed before.
        """
        patched = vars(module).get("forward")
        forward = partial(self._by_rule, module) if patched is None else module.forward
        if self.own[module] != tensors_of(module):  # torch.func.functional_call gave them others
            others = (p for one, p in self.paths.items() if self.own[one] != tensors_of(one))
            raise Opens(*others)
        if self._computed(module, path):
            raise Opens(path)
        if not has_code(module):
            return forward(*args, **kwargs)
        given = tensors_in((args, kwargs))
        self.step = path, {id(x) for x in given}
        vars(module)["forward"] = forward
        try:
            return self._inside(module._call_impl(*args, **kwargs))
        except RuntimeError:  # a hook asks for values: it may be a check, or write into anything
            self.blind = True
            increment_version(given)
            return forward(*args, **kwargs)
        finally:
            self.step = None
            del module.forward
            if patched is not None:
                module.forward = patched

    def _by_rule(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        out = in_shape(module, *args, **kwargs)
        return out if any(out is one for one in args) else self._inside(out, made=True)

    def _computed(self, module: nn.Module, path: str) -> bool:
        """Whether a module has a tensor that was made outside of it."""
        held = [x for part in module.modules() for x in vars(part).values()]
        return any(isinstance(x, FakeTensor) and self.ledger.born.get(id(x)) != path for x in held)

    def _inside(self, value: Any, made: bool = False) -> Any:
        """A value that is used or made inside of a step: only what is the step's own may be."""
        if self.step is None:
            return value
        path, own = self.step
        for x in pieces(value):
            number = self.fakes.of_values(x)
            if number is None and not isinstance(x, Tensor):
                continue
            key = id(x) if number is None else number
            if made:
                own.add(key)
                self.ledger.born[key] = path
                self.ledger.kept.append(x)
            elif key in own or key in self.ledger.attributes:
                continue
            elif number is not None or isinstance(x, FakeTensor) or self.blind:
                raise Opens(path)
        return value

    def _rest(self, run: Callable[[], Any]) -> Any:
        self.resting = True
        try:
            return run()
        finally:
            self.resting = False

    def _seen(
        self,
        run: Callable[[], Any],
        make: Callable[[], fx.Node],
        name: Callable[[], str],
        arguments: Any,
    ) -> Any:
        """What a call gives, and the step that it is, if it makes or changes a tensor."""
        with DisableTorchFunction():
            given = tensors_in(arguments)
            versions = [x._version for x in given]
        if any(map(torch.is_autocast_enabled, ("cpu", "cuda"))):  # it was off (`fakes.running`)
            raise LayerError("it switches autocast on, and the halves would not")
        with _counting():
            out = run()
        with DisableTorchFunction(), _counting():
            pairs = zip(given, versions, strict=True)
            changed = {id(x) for x, version in pairs if x._version != version}
            if not isinstance(out, Tensor) and _tells_a_size(out):
                self.record.reads_sizes = True
            number = self.fakes.of_values(out)
            if number is not None and number not in self.ledger.sizes:
                self.ledger.sizes[number] = make()
            if not changed and not tensors_in(out):
                return out  # a shape, a type, a check
            targets = [self.ledger.argument(x) for x in given if id(x) in changed]
            self.writes = bool(targets)
            node = make()
            self.record.names[node] = name()
            if targets:
                node.meta["writes"] = [node.all_input_nodes.index(target) for target in targets]
            quiet = bool(targets) and node.op == "call_function"
            detached = not (torch.is_grad_enabled() or quiet or out is None)
            # One that is given back as it was, by nn.Identity or an idle dropout, is what two
            # steps gave; one that was written into is now what this step gave.
            return self.ledger.given(
                out, node, {id(x) for x in given} - changed, detached, self.inside[-1]
            )


@contextmanager
def _counting() -> Iterator[None]:
    """Inside, tensors tell when they are written into, as they do not in inference mode."""
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        yield


def _tells_a_size(out: Any) -> bool:
    """Whether code learns a length from it: a shape, or the parts of a tensor."""
    parts = out if isinstance(out, tuple | list) else (out,)
    return any(type(one) is int for one in parts) or bool(parts is out and tensors_in(out))
