"""Measures of similarity: functions of two representations, their moments, or two answers.

Representations are tensors (N, ...), NumPy arrays or nested lists; what comes back is a tensor.
"""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.measures.all_pairs import distance_correlation, rsm_norm_distance
    from frankenstein.measures.cca import (
        canonical_correlations,
        eigenspace_overlap,
        mean_cca,
        mean_squared_cca,
        pwcca,
        svcca,
    )
    from frankenstein.measures.cka import angular_cka_distance, linear_cka, unbiased_cka
    from frankenstein.measures.decoding import decoding_agreement, gulp_distance
    from frankenstein.measures.dimensions import shared_dimensions
    from frankenstein.measures.few_units import feature_corrected_cka
    from frankenstein.measures.kernels import deconfounded_cka, rbf_cka, unbiased_rbf_cka
    from frankenstein.measures.layer_similarities import LayerSimilarities
    from frankenstein.measures.matching import (
        partial_matching_correlation,
        soft_matching,
        soft_matching_correlation,
        soft_matching_distance,
    )
    from frankenstein.measures.neighbourhoods import (
        cknna,
        cycle_knn,
        jaccard_similarity,
        rank_similarity,
        second_order_cosine,
    )
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
    from frankenstein.measures.ridge import ridge_correlation, ridge_r_squared
    from frankenstein.measures.rsa import rsa_kendall, rsa_pearson, rsa_spearman
    from frankenstein.measures.shape import (
        angular_shape_distance,
        mean_squared_distance,
        permutation_shape_distance,
        procrustes_similarity,
        size_and_shape_distance,
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
    from frankenstein.measures.within_class import (
        within_class_linear_cka,
        within_class_r_squared,
        within_class_unbiased_cka,
    )

__getattr__, __dir__, __all__ = lazy_names(__name__)
