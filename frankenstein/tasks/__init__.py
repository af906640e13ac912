"""Training tasks: LightningModules for the zoo and for the stitches, and their objectives."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.tasks.classifier import Classifier
    from frankenstein.tasks.data_module import DataModule, Unaugmented
    from frankenstein.tasks.objectives import (
        TARGET_TYPES,
        Objective,
        Pass,
        cka_regularized,
        direct_cka,
        direct_mse,
        soft_cross_entropy,
        target_objective,
        task_loss,
    )
    from frankenstein.tasks.sparse_autoencoder import DictionaryFit, SparseAutoencoder
    from frankenstein.tasks.stitching import Stitching, matching_moments
    from frankenstein.tasks.together import StitchingTogether

__getattr__, __dir__, __all__ = lazy_names(__name__)
