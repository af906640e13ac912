"""Similarity in deed: what two networks answer to the same examples, in their logits.

Classes lie on the last axis. Everything is per example (or counted), so that a caller may add up
batches; the mean over examples is the measure. Logits may be as confident as they like: nothing
here takes the logarithm of a probability that has been rounded to 0.
"""

import math

import torch
from torch import Tensor

from frankenstein.shapes import ShapeError, as_tensor


def agreement(
    x: Tensor,  # (..., C), logits
    y: Tensor,  # (..., C)
) -> Tensor:  # (...), bool
    """Where both predict the same class; the mean, in [0, 1], is the agreement.

    Source: among the functional measures of Klabunde et al. 2023, https://arxiv.org/abs/2305.06329.

    Raises:
        ShapeError: if x and y are not answers to the same questions.
    """
    x, y = _same_questions(x, y)
    return x.argmax(-1) == y.argmax(-1)


def normalized_disagreement(agreement: float, accuracy_x: float, accuracy_y: float) -> float:
    """Where the share of other predictions lies, in [0, 1], of what the error rates allow.

    0: the two differ as little as networks of these accuracies can, |e_x - e_y|; 1: as much,
    min(e_x + e_y, 1). So it can be compared between pairs of other accuracies, which the
    agreement cannot. NaN where the error rates leave no choice, as where one is never wrong.

    Takes the means of what `agreement` and the comparison with labels say of each example.

    Source: the min-max-normalised disagreement of Klabunde et al. 2023,
    https://arxiv.org/abs/2305.06329.

    >>> normalized_disagreement(agreement=0.8, accuracy_x=0.9, accuracy_y=0.8)
    0.5
    """
    least = abs(accuracy_x - accuracy_y)
    most = min(2 - accuracy_x - accuracy_y, 1)
    if most - least < 1e-12:
        return math.nan
    # Rates are multiples of 1 / n, so what lies outside is rounding.
    return round(min(max((1 - agreement - least) / (most - least), 0), 1), 12)


def hits_table(
    x: Tensor,  # (..., C), logits
    y: Tensor,  # (..., C)
    labels: Tensor,  # (...), classes
) -> Tensor:  # (2, 2), counts
    """How often x is right (row 1) or wrong (row 0) where y is right (column 1) or wrong.

    Raises:
        ShapeError: if x and y are not answers to the same questions.

    >>> right, wrong = [0.0, 1.0], [1.0, 0.0]
    >>> x, y = torch.tensor([right, right, wrong]), torch.tensor([right, wrong, wrong])
    >>> hits_table(x, y, torch.tensor([1, 1, 1])).tolist()
    [[1, 0], [1, 1]]
    """
    x, y = _same_questions(x, y)
    rights = [(z.argmax(-1) == as_tensor(labels)).long() for z in (x, y)]
    return torch.bincount((2 * rights[0] + rights[1]).flatten(), minlength=4).view(2, 2)


def cross_entropy_between(
    x: Tensor,  # (..., C), logits
    y: Tensor,  # (..., C)
) -> Tensor:  # (...), float64
    """Cross entropy in nats of y's distribution with x's: least, the entropy of y, where equal.

    Raises:
        ShapeError: if x and y are not answers to the same questions.
    """
    log_p, log_q = _log_likelihoods(x, y)
    return -(log_q.exp() * log_p).sum(-1)


def jensen_shannon(
    x: Tensor,  # (..., C), logits
    y: Tensor,  # (..., C)
) -> Tensor:  # (...), float64
    """Jensen-Shannon divergence in nats of the two distributions, in [0, ln 2]; 0 where equal.

    Source: Lin 1991, eq. 4.1, https://doi.org/10.1109/18.61115.

    Raises:
        ShapeError: if x and y are not answers to the same questions.

    >>> x = torch.tensor([[1e4, 0.0]])
    >>> jensen_shannon(x, x.flip(-1)).exp()
    tensor([2.], dtype=torch.float64)
    """
    log_p, log_q = _log_likelihoods(x, y)
    # log(p / ((p + q) / 2)) = ln 2 - log(1 + q / p), which is exactly 0 where q is p.
    ratio, zero = log_q - log_p, torch.zeros_like(log_p)
    halves = log_p.exp() * (math.log(2) - torch.logaddexp(zero, ratio)) + log_q.exp() * (
        math.log(2) - torch.logaddexp(zero, -ratio)
    )
    return (halves.sum(-1) / 2).clamp(0, math.log(2))  # rounding can leave -1e-17


def _log_likelihoods(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    x, y = _same_questions(x, y)
    return x.double().log_softmax(-1), y.double().log_softmax(-1)


def _same_questions(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    x, y = as_tensor(x), as_tensor(y)
    if x.shape != y.shape:
        raise ShapeError(
            f"x and y must be logits of the same examples and classes, got shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}; use one loader for both"
        )
    return x, y
