"""Measures of similarity: functions of two representations, their moments, or two answers.

Representations are tensors (N, ...), NumPy arrays or nested lists; what comes back is a tensor.
"""

from frankenstein.measures.cca import (
    canonical_correlations,
    mean_cca,
    mean_squared_cca,
    pwcca,
    svcca,
)
from frankenstein.measures.cka import linear_cka, unbiased_cka
from frankenstein.measures.decoding import decoding_agreement
from frankenstein.measures.distance import mean_squared_distance
from frankenstein.measures.every_pair import every_pair, warn_undefined
from frankenstein.measures.kernels import deconfounded_cka, rbf_cka, unbiased_rbf_cka
from frankenstein.measures.layer_similarities import LayerSimilarities
from frankenstein.measures.neighbours import mutual_knn
from frankenstein.measures.outputs import (
    agreement,
    cross_entropy_between,
    hits_table,
    jensen_shannon,
    normalized_disagreement,
)
from frankenstein.measures.regression import (
    cross_validated_r_squared,
    r_squared,
    reverse_r_squared,
)
from frankenstein.measures.rsa import rsa_pearson, rsa_spearman
from frankenstein.measures.shape import angular_shape_distance, procrustes_similarity
from frankenstein.measures.undefined import UndefinedSimilarityWarning
from frankenstein.measures.units import (
    best_match_correlation,
    correlation_matrix,
    matched_correlation,
    unit_correlation,
)

__all__ = [
    "LayerSimilarities",
    "UndefinedSimilarityWarning",
    "agreement",
    "angular_shape_distance",
    "best_match_correlation",
    "canonical_correlations",
    "correlation_matrix",
    "cross_entropy_between",
    "cross_validated_r_squared",
    "decoding_agreement",
    "deconfounded_cka",
    "every_pair",
    "hits_table",
    "jensen_shannon",
    "linear_cka",
    "matched_correlation",
    "mean_cca",
    "mean_squared_cca",
    "mean_squared_distance",
    "mutual_knn",
    "normalized_disagreement",
    "procrustes_similarity",
    "pwcca",
    "r_squared",
    "rbf_cka",
    "reverse_r_squared",
    "rsa_pearson",
    "rsa_spearman",
    "svcca",
    "unbiased_cka",
    "unbiased_rbf_cka",
    "unit_correlation",
    "warn_undefined",
]
