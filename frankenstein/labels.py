"""What logits say against labels: one class per image, or yes or no for each of several labels.

The labels themselves say which: integers (N,) are classes; floats (N, L), 0 or 1, are several
labels per image. Losses and accuracies of the latter are means over images and labels. Integers
(N, T) are one class for each token of a sentence, -100 where none is asked for; logits are then
(N, T, C), and losses and accuracies are means over the tokens that are asked for.
"""

from torch import Tensor
from torch.nn import functional

from frankenstein.shapes import ShapeError

NOT_ASKED = -100  # as PyTorch's cross entropy has it


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
        return functional.cross_entropy(*asked_for(logits, labels), reduction=reduction)
    _one_logit_each(logits, labels)
    return functional.binary_cross_entropy_with_logits(
        logits, labels.to(logits), reduction=reduction
    )


def hits(
    logits: Tensor,  # (N, L)
    labels: Tensor,  # (N,) int64, or (N, L) float
) -> Tensor:  # bool, in the shape of the labels; of tokens (K,), those that are asked for
    """Where the logits are right; the mean is the accuracy.

    Raises:
        ShapeError: if there is not one logit for each of several labels.
    """
    logits, labels = asked_for(logits, labels)
    return decisions(logits, labels) == labels


def asked_for(
    logits: Tensor,  # (N, T, C) if there is a label for each token
    labels: Tensor,
) -> tuple[Tensor, Tensor]:  # of tokens (K, C), (K,); else as they are
    """Logits and labels one a row, without tokens of which nothing is asked.

    Sentences may be padded to one length in the logits and to another in the labels.

    Raises:
        ShapeError: if there are no logits for each token.
    """
    if not by_token(labels):
        return logits, labels
    if logits.ndim != 3 or len(logits) != len(labels):
        raise ShapeError(
            f"labels of the tokens of {len(labels)} sentences need logits (N, T, C), got "
            f"{tuple(logits.shape)}; take a network that says what the next token is"
        )
    labels = labels[:, : logits.shape[1]]
    asked = labels != NOT_ASKED
    return logits[:, : labels.shape[1]][asked], labels[asked]


def questions(labels: Tensor) -> int:
    """How many examples a mean of losses is over: tokens that are asked for, where there are."""
    return int((labels != NOT_ASKED).sum()) if by_token(labels) else len(labels)


def by_token(labels: Tensor) -> bool:
    """Whether there is a label for each token of a sentence."""
    return labels.ndim == 2 and not labels.is_floating_point()


def decisions(
    logits: Tensor,  # (N, L)
    labels: Tensor,  # (N,) int64, or (N, L) float; of these only the kind counts
) -> Tensor:  # in the shape and type of the labels
    """What the logits decide: the class of the largest, or yes where one is above 0."""
    if by_token(labels):
        labels = labels[:, : logits.shape[1]]
        return logits[:, : labels.shape[1]].argmax(2).where(labels != NOT_ASKED, NOT_ASKED)
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
    classes = labels[labels != NOT_ASKED] if by_token(labels) else labels
    return float(classes.bincount().max()) / len(classes) if len(classes) else float("nan")


def several(labels: Tensor) -> bool:
    """Whether these are several labels per image."""
    return labels.ndim == 2 and labels.is_floating_point()


def _one_logit_each(logits: Tensor, labels: Tensor) -> None:
    if logits.shape != labels.shape:
        raise ShapeError(
            f"labels of shape {tuple(labels.shape)} need as many logits, got "
            f"{tuple(logits.shape)}; train a network with {labels.shape[1]} outputs"
        )
