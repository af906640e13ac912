"""Questions about networks. Each is asked of a subject and shown, or computed by functions alone.

subject = open_subject("A.safetensors", "B.safetensors", "relu*")
answer = Units().ask(subject)
answer.numbers, Units().show(answer)
"""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.questions.activations.facts import (
        ActivationSums,
        class_selectivity,
        class_variance,
        participation_ratio,
    )
    from frankenstein.questions.activations.question import Activations
    from frankenstein.questions.circuits.edit import ablate, score_edits, transplant
    from frankenstein.questions.circuits.find import find_circuits
    from frankenstein.questions.circuits.maps import circuit_map, class_profiles
    from frankenstein.questions.circuits.match import match_circuits, profiles
    from frankenstein.questions.circuits.question import Circuits
    from frankenstein.questions.crosscoder.question import Crosscoder
    from frankenstein.questions.crosscoder.scores import score_crosscoder
    from frankenstein.questions.dictionaries.matching import match_features, pooled_strengths
    from frankenstein.questions.dictionaries.question import Autoencoder
    from frankenstein.questions.dictionaries.scores import evaluate_dictionary
    from frankenstein.questions.invariances.alike import made_alike
    from frankenstein.questions.invariances.question import Invariances
    from frankenstein.questions.merging.loss_line import LossLine, loss_line
    from frankenstein.questions.merging.merge import interpolate, parent_moments, renormalize
    from frankenstein.questions.merging.question import Merge
    from frankenstein.questions.merging.unit_orders import orders_by_activations, orders_by_weights
    from frankenstein.questions.plan import AnalyzePlan
    from frankenstein.questions.probes.question import Probes
    from frankenstein.questions.probes.readout import Readout, probe_layers
    from frankenstein.questions.question import Answer, NotAskable, Question
    from frankenstein.questions.subject import Subject, open_subject, paired_layers
    from frankenstein.questions.units.question import Units
    from frankenstein.questions.units.raw_and_sorted import in_any_order, raw_and_sorted
    from frankenstein.questions.weights.facts import (
        WeightFacts,
        common_axes,
        matched_weights,
        weight_distance,
        weight_facts,
        weight_matrices,
    )
    from frankenstein.questions.weights.question import Weights

__getattr__, __dir__, __all__ = lazy_names(__name__)
