"""What logits say against labels: one class per image, or yes or no for each of several labels.

The labels themselves say which: integers (N,) are classes; floats (N, L), 0 or 1, are several
labels per image. Losses and accuracies of the latter are means over images and labels.
"""

from torch import Tensor
from torch.nn import functional

from frankenstein.shapes import ShapeError


def label_loss(
    logits: Tensor,  # (N, L)
    labels: Tensor,  # (N,) int64, or (N, L) float
    reduction: str = "mean",  # or "sum", over as many numbers as labels has
) -> Tensor:  # ()
    """Cross entropy in nats; for several labels per image that of each yes or no by itself.

    Raises:
        ShapeError: if there is not one logit for each of several labels.

    >>> import torch
    >>> label_loss(torch.zeros(2, 10), torch.tensor([3, 4])).exp().round()
    tensor(10.)
    >>> label_loss(torch.zeros(2, 40), torch.ones(2, 40)).exp().round()
    tensor(2.)
    """
    if not several(labels):
        return functional.cross_entropy(logits, labels, reduction=reduction)
    _one_logit_each(logits, labels)
    return functional.binary_cross_entropy_with_logits(
        logits, labels.to(logits), reduction=reduction
    )


def hits(
    logits: Tensor,  # (N, L)
    labels: Tensor,  # (N,) int64, or (N, L) float
) -> Tensor:  # bool, in the shape of the labels
    """Where the logits are right; the mean is the accuracy.

    Raises:
        ShapeError: if there is not one logit for each of several labels.
    """
    return decisions(logits, labels) == labels


def decisions(
    logits: Tensor,  # (N, L)
    labels: Tensor,  # (N,) int64, or (N, L) float; of these only the kind counts
) -> Tensor:  # in the shape and type of the labels
    """What the logits decide: the class of the largest, or yes where one is above 0."""
    if not several(labels):
        return logits.argmax(1)
    _one_logit_each(logits, labels)
    return (logits > 0).to(labels)


def most_frequent(
    labels: Tensor,  # (N,) int64, or (N, L) float
) -> float:
    """Accuracy of the best answer that is always the same: what a network has to be above.

    >>> import torch
    >>> most_frequent(torch.tensor([0, 1, 1, 2]))
    0.5
    """
    if several(labels):
        share = labels.double().mean(0)
        return float(share.maximum(1 - share).mean())
    return float(labels.bincount().max()) / len(labels)


def several(labels: Tensor) -> bool:
    """Whether these are several labels per image."""
    return labels.ndim == 2


def _one_logit_each(logits: Tensor, labels: Tensor) -> None:
    if logits.shape != labels.shape:
        raise ShapeError(
            f"labels of shape {tuple(labels.shape)} need as many logits, got "
            f"{tuple(logits.shape)}; train a network with {labels.shape[1]} outputs"
        )
