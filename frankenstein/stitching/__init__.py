"""Stitches between two frozen networks: solved, trained, scored beside controls.

run = StitchPlan(sender="A.safetensors", receiver="B.safetensors",
                 sender_layer="bn3", receiver_layer="bn3", epochs=1).run()
run.numbers["accuracy/after"]
"""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.stitching.controls import CONTROLS, Controls, solve_controls
    from frankenstein.stitching.evaluate import evaluate_stitches
    from frankenstein.stitching.evaluate_plan import EvaluatePlan
    from frankenstein.stitching.graft_file import open_graft, save_graft
    from frankenstein.stitching.matrix.solve import StitchingMatrix, stitching_matrix
    from frankenstein.stitching.off_distribution import Reference, ReferenceSums, Share
    from frankenstein.stitching.pair import StitchedRun, StitchingPair, open_stitching_pair
    from frankenstein.stitching.plan import StitchPlan

__getattr__, __dir__, __all__ = lazy_names(__name__)
