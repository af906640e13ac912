"""Layers against layers: matrices of measures, their intervals and nulls, and their pages."""

from frankenstein.lazy import lazily

__getattr__, __all__ = lazily(
    __name__,
    {
        "Certainty": "frankenstein.similarity.resampling",
        "ComparePlan": "frankenstein.similarity.plan",
        "LabelledMatrix": "frankenstein.report.labelled",
        "LayerReservoir": "frankenstein.accumulators.layer_reservoir",
        "certainties": "frankenstein.similarity.resampled_layers",
        "certainty": "frankenstein.similarity.resampling",
        "of_examples": "frankenstein.measures.draws",
        "measure_layers": "frankenstein.similarity.matrices",
        "similarity_matrices": "frankenstein.similarity.matrices",
        "similarity_matrix": "frankenstein.similarity.matrices",
    },
)
