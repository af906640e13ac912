"""A field of a study that has several values is a grid: one set of fields for each choice.

{family: [affine, low_rank], low_rank: [1, 2]}   ->   affine; low_rank of rank 1; low_rank of rank 2
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from frankenstein.errors import PlanError, did_you_mean
from frankenstein.records import cut, shown
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import Option, alternatives, options_of, read_words
from frankenstein.stitching.plan import FAMILY_OPTIONS

_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
_LONGEST = 10_000  # numbers of a range


@dataclass(frozen=True)
class Choice:
    """One point of a grid."""

    label: str  # what tells it from the others, for a folder's name; "" if it is the only one
    fields: Mapping[str, Any]


def choices_of(kind: type[Plan], block: Any, own: tuple[str, ...]) -> list[Choice]:
    """Every choice of a block's fields, in the order of the block.

    `own` are fields that the study itself fills in. A stitch's option of one family, such as
    low_rank, holds for the choices of that family alone.

    Raises:
        PlanError: for a block that is none, a field that the plan has not or that is the study's,
            or a value that it does not take.
    """
    verb, options = kind.verb, options_of(kind)
    if not isinstance(block, Mapping):
        raise PlanError(f"{verb} of a study takes {{field: value}}, got {shown(block)}")
    values: dict[str, list[Any]] = {}
    for name, value in block.items():
        if name not in options:
            near = did_you_mean(str(name), options)
            if name == "layers" and "sender_layer" in options:
                near = "; say sender_layer, where several layers are a list, and so a run each" + (
                    "" if verb == "stitch" else ', or one text such as "conv1,fc1" in one run'
                )
            raise PlanError(f"{verb} has no field {cut(str(name))}{near}")
        if name in own:
            raise PlanError(f"{name} of {verb} is the study's to say; leave it out")
        values[name] = _values(options[name], value, f"{name} of {verb}")
    varied = [name for name, several in values.items() if len(several) > 1]
    found: dict[str, Choice] = {}
    for point in product(*values.values()):
        fields = dict(zip(values, point, strict=True))
        if "family" in varied:
            fields = _of_family(fields)
        label = _label({name: fields[name] for name in varied if name in fields})
        found.setdefault(repr(sorted(fields.items(), key=str)), Choice(label, fields))
    return list(found.values())


def whole_numbers(value: Any, name: str) -> list[int]:
    """Those of a range such as 0..4, its end included, or of a list.

    Raises:
        PlanError: if it is neither, or holds a number twice.

    >>> whole_numbers("0..4", "seeds"), whole_numbers([7], "seeds")
    ([0, 1, 2, 3, 4], [7])
    """
    numbers = _range(value) if isinstance(value, str) else value
    if not isinstance(numbers, list) or not numbers or not all(type(n) is int for n in numbers):
        raise PlanError(
            f"{name} takes a range such as 0..4 or a list of numbers, got {shown(value)}"
        )
    if len(set(numbers)) < len(numbers):
        raise PlanError(f"{name} has a number twice: {shown(value)}")
    return numbers


def _values(one: Option, value: Any, name: str) -> list[Any]:
    """The values of a field: those of a list where it takes one, those of lists where a list."""
    several = value
    if isinstance(value, str) and int in alternatives(one.hint):
        several = _range(value) or value
    grid = isinstance(several, list) and (
        not one.is_list or (bool(several) and all(isinstance(each, list) for each in several))
    )
    if not grid:
        return [read_words(one, several, name)]
    if not several:
        raise PlanError(f"{name} is an empty grid; name a value or leave it out")
    return [read_words(one, each, name) for each in several]


def _range(text: str) -> list[int] | None:
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    if not 0 <= last - first < _LONGEST:
        raise PlanError(f"a range goes up, by {_LONGEST:,} numbers at most, got {text}")
    return [*range(first, last + 1)]


def _of_family(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without options of other families: a rank is no matter of an affine stitch."""
    family = fields["family"]
    return {
        name: value
        for name, value in fields.items()
        if name not in FAMILY_OPTIONS or FAMILY_OPTIONS[name][0] == family
    }


def _label(fields: Mapping[str, Any]) -> str:
    """
    >>> _label({"family": "low_rank", "low_rank": 4, "all": True, "epochs": 0})
    'low_rank4-all-epochs0'
    """
    parts: list[str] = []
    for name, value in fields.items():
        if isinstance(value, bool):
            parts.append(name if value else f"no_{name}")
        elif isinstance(value, int | float):
            if name in parts:
                parts.remove(name)
            parts.append(f"{name}{value}")
        else:
            parts.append("+".join(_words(value)) or f"no_{name}")
    return "-".join(parts)


def _words(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if one is not None:
            yield re.sub(r"[^\w.+]+", "_", str(one))
