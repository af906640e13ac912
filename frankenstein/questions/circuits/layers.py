"""The circuits of one pair of layers in all networks of a subject, matched with one another."""

from collections.abc import Mapping

from torch import Tensor

from frankenstein.questions.circuits.answer import CircuitLayer
from frankenstein.questions.circuits.find import CircuitGroups, find_circuits
from frankenstein.questions.circuits.maps import chance_response, class_profiles
from frankenstein.questions.circuits.match import match_circuits, profiles
from frankenstein.questions.circuits.options import CircuitOptions
from frankenstein.questions.subject import Pair, Subject


def circuit_layer(subject: Subject, pair: Pair, options: CircuitOptions) -> CircuitLayer:
    """Find and match the circuits of a pair of layers."""
    circuits = {
        network.role: _groups(subject.rows("train", network, pair), options, subject.seed)
        for network in subject.networks
    }
    done = {
        network.role: profiles(subject.rows("val", network, pair), circuits[network.role].groups)
        for network in subject.networks
    }
    classes, labels = subject.data.num_classes, subject.val.labels
    return CircuitLayer(
        subject.label(pair),
        circuits,
        done,
        {role: class_profiles(p, labels, classes) for role, p in done.items()},
        {role: chance_response(p, labels, classes, subject.seed) for role, p in done.items()},
        match_circuits(list(done.values()), seed=subject.seed),
        _untrained(subject, pair, options),
    )


def _groups(z: Tensor, options: CircuitOptions, seed: int) -> CircuitGroups:
    return find_circuits(z, options.threshold, options.grouping, options.similarity, seed=seed)


def _untrained(subject: Subject, pair: Pair, options: CircuitOptions) -> Mapping[str, float]:
    """The same of two networks that have learned nothing."""
    z = [subject.rows("val", network, pair) for network in subject.untrained]
    circuits = [_groups(one, options, subject.seed) for one in z]
    done = [profiles(one, groups.groups) for one, groups in zip(z, circuits, strict=True)]
    families = match_circuits(done, reference=0, seed=subject.seed)
    known = families.members[:, 1] >= 0
    return {
        "groups": sum(len(groups.groups) for groups in circuits) / 2,
        "matched": float(known.sum()),
        "similarity": float(families.similarity[known, 1].mean()),  # NaN of none
    }
