"""Weight space: norms, sparsity, spectra, common axes, and distances before and after matching."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

from frankenstein.errors import UserError
from frankenstein.questions.question import Need, Question
from frankenstein.questions.subject import Subject
from frankenstein.questions.weights.answer import Axes, Distance, WeightsAnswer
from frankenstein.questions.weights.facts import (
    Matrices,
    common_axes,
    matched_weights,
    weight_distance,
    weight_facts,
    weight_matrices,
)
from frankenstein.questions.weights.page import weights_section
from frankenstein.report import Section


@dataclass(frozen=True, kw_only=True)
class Weights(Question[WeightsAnswer]):
    """How are the weights of each layer spread, and how far apart before and after matching?"""

    title: ClassVar[str] = "Weights"
    needs: ClassVar[frozenset[Need]] = frozenset({"untrained"})

    def ask(self, subject: Subject) -> WeightsAnswer:
        """Of any number of networks, without data.

        Raises:
            UserError: if no two networks have weights of the same name.
        """
        matrices = {one.role: weight_matrices(one.module) for one in subject.networks}
        owners = _owners(matrices)
        layers = tuple(layer for layer, roles in owners.items() if len(roles) > 1)
        if not layers:
            raise UserError(
                "the networks have no weights of the same name; compare their activations"
            )
        control, other_control = (weight_matrices(one.module) for one in subject.untrained)
        # The receiver last, so that every other is brought into its order.
        order = [one for one in subject.networks if one is not subject.receiver]
        matched = {
            (one.role, other.role): matched_weights(one.module, other.module, subject.seed)
            for one, other in combinations([*order, subject.receiver], 2)
        }
        between = [one.module for one in subject.untrained]
        control_after, control_whole = matched_weights(between[0], between[1], subject.seed)
        receiver = subject.receiver.role
        aligned = {one: after for (one, other), (after, _) in matched.items() if other == receiver}
        aligned[receiver] = matrices[receiver]
        return WeightsAnswer(
            layers,
            {
                role: tuple(layer for layer, roles in owners.items() if roles == [role])
                for role in matrices
            },
            matrices,
            control,
            {
                layer: {role: weight_facts(matrices[role][layer]) for role in owners[layer]}
                for layer in layers
            },
            {layer: weight_facts(control[layer]) for layer in layers if layer in control},
            {
                (one, other): _distances(matrices[one], after, matrices[other], layers)
                for (one, other), (after, _) in matched.items()
            },
            _distances(control, control_after, other_control, layers),
            _axes(aligned, [control, other_control], layers),
            control_whole and all(whole for _, whole in matched.values()),
        )

    def show(self, answer: WeightsAnswer) -> Section:
        """Distributions, spectra, common axes and distances, beside an untrained network's."""
        return weights_section(self.title, answer)


def _owners(matrices: Mapping[str, Matrices]) -> dict[str, list[str]]:
    """The roles of the networks that have each layer."""
    owners: dict[str, list[str]] = {}
    for role, of_layer in matrices.items():
        for layer in of_layer:
            owners.setdefault(layer, []).append(role)
    return owners


def _distances(
    before: Matrices, after: Matrices, target: Matrices, layers: tuple[str, ...]
) -> dict[str, Distance]:
    return {
        layer: Distance(
            weight_distance(before[layer], target[layer]),
            weight_distance(after[layer], target[layer]),
        )
        for layer in layers
        if layer in before and layer in target and before[layer].shape == target[layer].shape
    }


def _axes(
    aligned: Mapping[str, Matrices], controls: list[Matrices], layers: tuple[str, ...]
) -> dict[str, Axes]:
    axes = {}
    for layer in layers:
        rows = {role: matrices[layer] for role, matrices in aligned.items() if layer in matrices}
        if len({z.shape[1] for z in rows.values()}) > 1:
            continue  # of other lengths: the table has their shapes
        points, share = common_axes([*rows.values()])
        random = [matrices[layer] for matrices in controls if layer in matrices]
        chance = common_axes(random)[1] if len({z.shape[1] for z in random}) == 1 else None
        axes[layer] = Axes(dict(zip(rows, points, strict=True)), share, chance)
    return axes
