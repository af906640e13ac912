"""Questions about two networks: how alike, alike in what, and what becomes of a stitch."""

from frankenstein.compare.activation_facts import (
    ActivationFacts,
    ActivationSums,
    class_selectivity,
    class_variance,
    participation_ratio,
)
from frankenstein.compare.certainties import certainties
from frankenstein.compare.certainty import Certainty, certainty, of_examples
from frankenstein.compare.circuit_families import Families, match_circuits, profiles
from frankenstein.compare.circuit_pictures import circuit_map, class_profiles
from frankenstein.compare.circuits import Circuits, find_circuits
from frankenstein.compare.controls import CONTROLS, Controls, solve_controls
from frankenstein.compare.dictionaries import DictionaryScores, evaluate_dictionary
from frankenstein.compare.feature_matching import Matching, match_features, pooled_strengths
from frankenstein.compare.kept import Kept, bytes_of_one
from frankenstein.compare.labelled import LabelledMatrix
from frankenstein.compare.loss_line import LossLine, loss_line
from frankenstein.compare.merging import interpolate, parent_moments, renormalize
from frankenstein.compare.outside import Outside, Typical
from frankenstein.compare.pair_similarities import PairSimilarities, pair_similarities
from frankenstein.compare.probes import Readout, probe_layers
from frankenstein.compare.raw_and_sorted import in_other_orders, raw_and_sorted
from frankenstein.compare.representations import Representation
from frankenstein.compare.similarity import similarity_matrices, similarity_matrix
from frankenstein.compare.stitches import evaluate_stitches
from frankenstein.compare.stitching_matrix import StitchingMatrix, stitching_matrix
from frankenstein.compare.tally import HITS, evaluate_network
from frankenstein.compare.unit_edits import ablate, score_edits, transplant
from frankenstein.compare.unit_orders import orders_by_activations, orders_by_weights
from frankenstein.compare.weight_space import (
    WeightFacts,
    common_axes,
    matched_weights,
    weight_distance,
    weight_facts,
    weight_matrices,
)

__all__ = [
    "CONTROLS",
    "HITS",
    "ActivationFacts",
    "ActivationSums",
    "Certainty",
    "Circuits",
    "Controls",
    "DictionaryScores",
    "Families",
    "Kept",
    "LabelledMatrix",
    "LossLine",
    "Matching",
    "Outside",
    "PairSimilarities",
    "Readout",
    "Representation",
    "StitchingMatrix",
    "Typical",
    "WeightFacts",
    "ablate",
    "bytes_of_one",
    "certainties",
    "certainty",
    "circuit_map",
    "class_profiles",
    "class_selectivity",
    "class_variance",
    "common_axes",
    "evaluate_dictionary",
    "evaluate_network",
    "evaluate_stitches",
    "find_circuits",
    "in_other_orders",
    "interpolate",
    "loss_line",
    "match_circuits",
    "match_features",
    "matched_weights",
    "of_examples",
    "orders_by_activations",
    "orders_by_weights",
    "pair_similarities",
    "parent_moments",
    "participation_ratio",
    "pooled_strengths",
    "probe_layers",
    "profiles",
    "raw_and_sorted",
    "renormalize",
    "score_edits",
    "similarity_matrices",
    "similarity_matrix",
    "solve_controls",
    "stitching_matrix",
    "transplant",
    "weight_distance",
    "weight_facts",
    "weight_matrices",
]
