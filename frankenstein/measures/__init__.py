"""Measures of similarity: functions of two representations, their moments, or two answers."""

from frankenstein.catalog import MEASURES
from frankenstein.measures.cca import canonical_correlations, mean_cca, mean_squared_cca
from frankenstein.measures.cka import linear_cka, unbiased_cka, unbiased_hsic
from frankenstein.measures.distance import mean_squared_distance
from frankenstein.measures.layer_similarities import LayerSimilarities
from frankenstein.measures.outputs import (
    agreement,
    cross_entropy_between,
    hits_table,
    jensen_shannon,
)
from frankenstein.measures.regression import r_squared
from frankenstein.measures.similarities import Similarities
from frankenstein.measures.undefined import UndefinedSimilarityWarning
from frankenstein.measures.units import correlation_matrix, unit_correlation

__all__ = [
    "MEASURES",
    "LayerSimilarities",
    "Similarities",
    "UndefinedSimilarityWarning",
    "agreement",
    "canonical_correlations",
    "correlation_matrix",
    "cross_entropy_between",
    "hits_table",
    "jensen_shannon",
    "linear_cka",
    "mean_cca",
    "mean_squared_cca",
    "mean_squared_distance",
    "r_squared",
    "unbiased_cka",
    "unbiased_hsic",
    "unit_correlation",
]
