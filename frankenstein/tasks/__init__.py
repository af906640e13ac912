"""Training tasks: LightningModules for the zoo and for the stitches, and their objectives."""

from frankenstein.tasks.classifier import Classifier
from frankenstein.tasks.direct_matching import matching_moments
from frankenstein.tasks.objectives import (
    Objective,
    cka_regularized,
    direct_cka,
    direct_mse,
    task_loss,
)
from frankenstein.tasks.passes import Pass
from frankenstein.tasks.stitching import Stitching

__all__ = [
    "Classifier",
    "Objective",
    "Pass",
    "Stitching",
    "cka_regularized",
    "direct_cka",
    "direct_mse",
    "matching_moments",
    "task_loss",
]
