"""Measures within classes: class means are taken off both sides, then the same measure.

Networks that tell the same classes apart look alike by that alone, and so does noise that depends
on the class. Within classes only what examples of one class have apart counts. Where rows are
places, those of one image count too, and of a class with one image nothing else.

Source: the question is that of Smith, Mannering & Marcu 2025, whose senders know nothing but the
class; the statistic is the pooled within-class covariance of Fisher 1936, in place of the total.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from frankenstein.accumulators.classes import ByClass, WithinClasses
from frankenstein.accumulators.linear import rank_of
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures.cka import linear_cka, unbiased_cka
from frankenstein.measures.regression import r_squared
from frankenstein.measures.undefined import nothing_to_compare, undefined
from frankenstein.shapes import as_tensor


def within_class_unbiased_cka(
    x: Tensor | WithinClasses,
    y: Tensor | None = None,
    labels: Tensor | None = None,  # (N,), the class of each example
) -> Tensor:  # ()
    """Unbiased linear CKA of rows less their class's mean: 1 for y = x rotated, about 0 for noise.

    Class means are those of the same rows: with K classes of n/K rows a bias of the order of
    K d / n² is left, d the effective number of dimensions. A class of one row is left out. NaN
    with a warning where nothing varies within classes, or for fewer than four rows.

    Raises:
        ShapeError: if the three hold a different number of examples, or one has several labels.
        UserError: if there are no examples, no labels, or NaN or Inf.
    """
    return _of_what_is_left(unbiased_cka, "within_class_unbiased_cka", x, y, labels)


def within_class_linear_cka(
    x: Tensor | WithinClasses,
    y: Tensor | None = None,
    labels: Tensor | None = None,  # (N,)
) -> Tensor:  # ()
    """Linear CKA in [0, 1] of rows less their class's mean; as `within_class_unbiased_cka`."""
    return _of_what_is_left(linear_cka, "within_class_linear_cka", x, y, labels)


def within_class_r_squared(
    x: Tensor | WithinClasses,
    y: Tensor | None = None,
    labels: Tensor | None = None,  # (N,)
) -> Tensor:  # ()
    """Share in [0, 1] of y's variance within classes that x explains linearly there.

    `r_squared` of rows less their class's mean, of K classes; NaN where they are so few
    (N - K <= rank of x) that anything is explained.
    """
    return _of_what_is_left(r_squared, "within_class_r_squared", x, y, labels, fits=True)


def _of_what_is_left(
    measure: Callable[[Moments], Tensor],
    name: str,
    x: Tensor | WithinClasses,
    y: Tensor | None,
    labels: Tensor | None,
    fits: bool = False,  # a map from x
) -> Tensor:  # ()
    if not isinstance(x, WithinClasses):
        if y is None:
            sums = hasattr(x, "merge")
            raise UserError(
                "this measure needs sums of every class; give it WithinClasses, or two "
                "representations; got " + (type(x).__name__ if sums else "one representation")
            )
        if labels is None:
            raise UserError(f"{name} needs the class of each example: give it labels (N,)")
        x = ByClass().update(as_tensor(x), as_tensor(y), torch.as_tensor(labels)).frozen()
    moments, reason = x.moments, None
    if not x.means:
        reason = "the first representation is the same for every example of a class, one at most"
        return undefined(torch.zeros(()).double(), name, reason)
    reason = nothing_to_compare(moments)
    if not reason and fits and moments.n - x.means <= (rank := rank_of(moments, "x")):
        reason = (
            f"{moments.n} examples of {x.means} classes are too few for {rank} directions: they "
            "would explain anything"
        )
    return undefined(moments.covariance("xy"), name, reason) if reason else measure(moments)
