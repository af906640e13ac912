"""Questions about two networks: layer x layer matrices, and what becomes of a stitch."""

from frankenstein.compare.similarity import SimilarityMatrix, similarity_matrix
from frankenstein.compare.stitches import evaluate_stitches

__all__ = ["SimilarityMatrix", "evaluate_stitches", "similarity_matrix"]
