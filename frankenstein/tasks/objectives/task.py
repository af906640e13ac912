"""Task loss: right answers of the grafted network, by labels or by teachers."""

import math

from torch import Tensor
from torch.nn import functional

from frankenstein.errors import UserError, did_you_mean
from frankenstein.labels import asked_for, label_loss, several
from frankenstein.tasks.objectives.passes import Objective, Pass

TARGET_TYPES = ("hard", "soft_1", "soft_2", "soft_12", "soft_1_plus_2")


def task_loss(batch: Pass) -> Tensor:
    """Cross entropy of the grafted network's logits to the labels, one or several per image.

    Source: task loss matching, Csiszárik et al. 2021, https://arxiv.org/abs/2110.14633.
    """
    return label_loss(batch.logits, batch.labels)


def target_objective(target_type: str, temperature: float = 1.0) -> Objective:
    """Task loss against labels ("hard") or against the logits of teachers.

    "soft_1" is taught by the sender, "soft_2" by the receiver, "soft_12" by both (the mean of the
    two losses), "soft_1_plus_2" by the mean of their logits. The loss is the cross entropy of
    softmax(teacher / T) with softmax(logits / T); of sigmoids, where images have several labels.

    Raises:
        UserError: for an unknown type, or a temperature that is not above 0 and finite.
    """
    if target_type not in TARGET_TYPES:
        near = did_you_mean(target_type, TARGET_TYPES)
        known = ", ".join(TARGET_TYPES)
        raise UserError(f"unknown target type {target_type!r}; known: {known}{near}")
    if not 0 < temperature < math.inf:
        raise UserError(f"a temperature is above 0 and finite, got {temperature}")
    if target_type == "hard":
        return task_loss

    def taught(batch: Pass) -> Tensor:
        loss = soft_binary_cross_entropy if several(batch.labels) else soft_cross_entropy
        teachers = _teachers(batch, target_type)
        logits, _ = asked_for(batch.logits, batch.labels)
        losses = [loss(logits, asked_for(t, batch.labels)[0], temperature) for t in teachers]
        return sum(losses[1:], losses[0]) / len(losses)

    return taught


def soft_cross_entropy(
    logits: Tensor,  # (N, C)
    teacher: Tensor,  # (N, C), logits
    temperature: float = 1.0,
) -> Tensor:  # ()
    """Mean cross entropy in nats of a teacher's answers with the logits', both at a temperature."""
    log_likelihood = (logits / temperature).log_softmax(1)
    return -((teacher / temperature).softmax(1) * log_likelihood).sum(1).mean()


def soft_binary_cross_entropy(
    logits: Tensor,  # (N, L)
    teacher: Tensor,  # (N, L), logits
    temperature: float = 1.0,
) -> Tensor:  # ()
    """The same for several labels per image: the mean over them of each yes or no by itself."""
    answers = (teacher / temperature).sigmoid()
    return functional.binary_cross_entropy_with_logits(logits / temperature, answers)


def _teachers(batch: Pass, target_type: str) -> list[Tensor]:
    if target_type == "soft_1":
        return [batch.sender_logits]
    if target_type == "soft_2":
        return [batch.receiver_logits]
    if target_type == "soft_12":
        return [batch.sender_logits, batch.receiver_logits]
    return [(batch.sender_logits + batch.receiver_logits) / 2]
