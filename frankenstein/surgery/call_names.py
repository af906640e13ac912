"""What a layer is called that is a call of a function: as torch.fx calls it."""

from typing import Any

from torch import Tensor

from frankenstein.surgery.fakes import GetSetDescriptor
from frankenstein.surgery.steps import IN_PLACE, plain

# Methods are told by identity: some go by another name, Tensor.__pow__ by `pow`.
METHODS = {
    id(getattr(Tensor, name)): name
    for name in dir(Tensor)
    if name != "grad" and callable(getattr(Tensor, name))
}
# What torch calls the methods that Python's operators stand for.
_OPERATORS = {"div": "truediv", "floor_divide": "floordiv", "remainder": "mod"}
_WORDS = ("and", "or")  # Python's own, which torch.fx ends in "_"


def name_of(func: Any) -> str:
    """The name of a call of this function.

    `x += y` and `x.add_(y)` are the same call, and called "add".
    """
    attribute = getattr(func, "__self__", None)
    if isinstance(attribute, GetSetDescriptor):
        return attribute.__name__
    name = plain(METHODS.get(id(func), getattr(func, "__name__", "step")))
    name = name[1:] if name in IN_PLACE else name
    operator = _OPERATORS.get(name.rstrip("_"), name.rstrip("_"))
    name = operator if f"i{operator}" in IN_PLACE else name
    return f"{name}_" if name in _WORDS else name
