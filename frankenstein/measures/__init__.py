"""Measures of similarity: functions of two representations, their moments, or two answers.

Representations are tensors (N, ...), NumPy arrays or nested lists; what comes back is a tensor.
"""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.measures.cca import (
        canonical_correlations,
        mean_cca,
        mean_squared_cca,
        pwcca,
        svcca,
    )
    from frankenstein.measures.cka import linear_cka, unbiased_cka
    from frankenstein.measures.decoding import decoding_agreement
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
    from frankenstein.measures.shape import (
        angular_shape_distance,
        mean_squared_distance,
        procrustes_similarity,
    )
    from frankenstein.measures.undefined import (
        UndefinedSimilarityWarning,
        every_pair,
        warn_undefined,
    )
    from frankenstein.measures.units import (
        best_match_correlation,
        correlation_matrix,
        matched_correlation,
        unit_correlation,
    )

__getattr__, __dir__, __all__ = lazy_names(__name__)
