"""Questions about two networks: layer x layer matrices, and what becomes of a stitch."""

from frankenstein.compare.certainties import certainties
from frankenstein.compare.certainty import Certainty, certainty, of_examples
from frankenstein.compare.controls import CONTROLS, Controls, solve_controls
from frankenstein.compare.dictionaries import DictionaryScores, evaluate_dictionary
from frankenstein.compare.feature_matching import Matching, match_features, pooled_strengths
from frankenstein.compare.kept import Kept, bytes_of_one
from frankenstein.compare.labelled import LabelledMatrix
from frankenstein.compare.outside import Outside, Typical
from frankenstein.compare.pair_similarities import PairSimilarities, pair_similarities
from frankenstein.compare.representations import Representation
from frankenstein.compare.similarity import similarity_matrices, similarity_matrix
from frankenstein.compare.stitches import evaluate_stitches
from frankenstein.compare.stitching_matrix import StitchingMatrix, stitching_matrix
from frankenstein.compare.tally import HITS, evaluate_network

__all__ = [
    "CONTROLS",
    "HITS",
    "Certainty",
    "Controls",
    "DictionaryScores",
    "Kept",
    "LabelledMatrix",
    "Matching",
    "Outside",
    "PairSimilarities",
    "Representation",
    "StitchingMatrix",
    "Typical",
    "bytes_of_one",
    "certainties",
    "certainty",
    "evaluate_dictionary",
    "evaluate_network",
    "evaluate_stitches",
    "match_features",
    "of_examples",
    "pair_similarities",
    "pooled_strengths",
    "similarity_matrices",
    "similarity_matrix",
    "solve_controls",
    "stitching_matrix",
]
