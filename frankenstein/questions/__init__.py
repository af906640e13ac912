"""Questions about networks. Each is asked of a subject and shown, or computed by functions alone.

subject = open_subject("A.safetensors", "B.safetensors", "relu*")
answer = Units().ask(subject)
answer.numbers, Units().show(answer)
"""

from frankenstein.lazy import lazily

_NAMES = {  # by the module, in this room, that holds them
    "plan": ["AnalyzePlan"],
    "question": ["Answer", "NotAskable", "Question"],
    "subject": ["Subject", "open_subject", "paired_layers"],
    "activations.question": ["Activations"],
    "activations.facts": [
        "ActivationSums",
        "class_selectivity",
        "class_variance",
        "participation_ratio",
    ],
    "circuits.question": ["Circuits"],
    "circuits.edit": ["ablate", "score_edits", "transplant"],
    "circuits.find": ["find_circuits"],
    "circuits.maps": ["circuit_map", "class_profiles"],
    "circuits.match": ["match_circuits", "profiles"],
    "dictionaries.question": ["Autoencoder"],
    "dictionaries.matching": ["match_features", "pooled_strengths"],
    "dictionaries.scores": ["evaluate_dictionary"],
    "merging.question": ["Merge"],
    "merging.loss_line": ["LossLine", "loss_line"],
    "merging.merge": ["interpolate", "parent_moments", "renormalize"],
    "merging.unit_orders": ["orders_by_activations", "orders_by_weights"],
    "probes.question": ["Probes"],
    "probes.readout": ["Readout", "probe_layers"],
    "units.question": ["Units"],
    "units.raw_and_sorted": ["in_other_orders", "raw_and_sorted"],
    "weights.question": ["Weights"],
    "weights.facts": [
        "WeightFacts",
        "common_axes",
        "matched_weights",
        "weight_distance",
        "weight_facts",
        "weight_matrices",
    ],
}
__getattr__, __all__ = lazily(
    __name__, {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}
)
