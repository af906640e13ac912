"""Similarity as torchmetrics classes, for any LightningModule: running sums, right under DDP."""

from frankenstein.metrics.matrix import SimilarityMatrix
from frankenstein.metrics.similarity import Similarity

__all__ = ["Similarity", "SimilarityMatrix"]
