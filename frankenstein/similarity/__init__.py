"""Layers against layers: matrices of measures, their intervals and nulls, and their pages."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.accumulators.layer_reservoir import LayerReservoir
    from frankenstein.measures.draws import of_examples
    from frankenstein.report.labelled import LabelledMatrix
    from frankenstein.similarity.matrices import (
        measure_layers,
        similarity_matrices,
        similarity_matrix,
    )
    from frankenstein.similarity.networks.between import Between, similarity_between
    from frankenstein.similarity.plan import ComparePlan
    from frankenstein.similarity.resampling import Certainty, certainties, certainty

__getattr__, __dir__, __all__ = lazy_names(__name__)
