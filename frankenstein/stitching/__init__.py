"""Stitches between two frozen networks: solved, trained, scored beside controls."""

from frankenstein.lazy import lazily

__getattr__, __all__ = lazily(
    __name__,
    {
        "CONTROLS": "frankenstein.stitching.controls",
        "Controls": "frankenstein.stitching.controls",
        "EvaluatePlan": "frankenstein.stitching.evaluate_plan",
        "Reference": "frankenstein.stitching.off_distribution",
        "ReferenceSums": "frankenstein.stitching.off_distribution",
        "Share": "frankenstein.stitching.off_distribution",
        "StitchPlan": "frankenstein.stitching.plan",
        "StitchedRun": "frankenstein.stitching.saved",
        "StitchingMatrix": "frankenstein.stitching.matrix.solve",
        "StitchingPair": "frankenstein.stitching.pair",
        "evaluate_stitches": "frankenstein.stitching.evaluate",
        "open_stitching_pair": "frankenstein.stitching.pair",
        "solve_controls": "frankenstein.stitching.controls",
        "stitching_matrix": "frankenstein.stitching.matrix.solve",
    },
)
