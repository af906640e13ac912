"""Objectives that teach the grafted network what the whole networks answer."""

from torch import Tensor

from frankenstein.errors import UserError, did_you_mean
from frankenstein.tasks.objectives import Objective, task_loss
from frankenstein.tasks.passes import Pass

TARGET_TYPES = ("hard", "soft_1", "soft_2", "soft_12", "soft_1_plus_2")


def target_objective(target_type: str, temperature: float = 1.0) -> Objective:
    """Task loss against labels ("hard") or against the logits of teachers.

    "soft_1" is taught by the sender, "soft_2" by the receiver, "soft_12" by both (the mean of the
    two losses), "soft_1_plus_2" by the mean of their logits. The loss is the cross entropy of
    softmax(teacher / T) with softmax(logits / T).

    Raises:
        UserError: for an unknown type, or a temperature that is not above 0.
    """
    if target_type not in TARGET_TYPES:
        near = did_you_mean(target_type, TARGET_TYPES)
        known = ", ".join(TARGET_TYPES)
        raise UserError(f"unknown target type {target_type!r}; known: {known}{near}")
    if not temperature > 0:
        raise UserError(f"a temperature is above 0, got {temperature}")
    if target_type == "hard":
        return task_loss

    def taught(batch: Pass) -> Tensor:
        losses = [
            soft_cross_entropy(batch.logits, teacher, temperature)
            for teacher in _teachers(batch, target_type)
        ]
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


def _teachers(batch: Pass, target_type: str) -> list[Tensor]:
    if target_type == "soft_1":
        return [batch.sender_logits]
    if target_type == "soft_2":
        return [batch.receiver_logits]
    if target_type == "soft_12":
        return [batch.sender_logits, batch.receiver_logits]
    return [(batch.sender_logits + batch.receiver_logits) / 2]
