"""One comparison of several networks, from a plan to a run."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

import torch
from rich.console import Console
from torch import Tensor

from frankenstein.accumulators.small_sample import rotate_to_span
from frankenstein.activations import Activations, activations_at
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError, did_you_mean
from frankenstein.measures.draws import halves
from frankenstein.measures.network_similarities import NetworkSimilarities
from frankenstein.networks.data import data_for
from frankenstein.networks.network import Network, roles_of
from frankenstein.report.progress import progress
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.similarity.matrices import reader_of
from frankenstein.similarity.networks.between import Between, between, read_networks
from frankenstein.similarity.networks.matching import label_of
from frankenstein.similarity.networks.page import write_networks_page
from frankenstein.similarity.plan import WORDS, ComparePlan, measure_of
from frankenstein.similarity.shown import Shown, shown_to
from frankenstein.similarity.subject import Opened, check_same_data, opened
from frankenstein.surgery.blocks import block_layers
from frankenstein.surgery.read import known_words
from frankenstein.training.device import device_of

_DISTANCE = "angular_shape_distance"


def run_networks(plan: ComparePlan, command: Command) -> Run:
    """Run the plan of `compare` of more than two networks."""
    device = device_of(plan.accelerator)
    sides = _sides(plan)
    _check_words(plan, sides)
    networks = [side for side in sides if isinstance(side, Network)]
    dataset = plan.dataset or (networks[1:2] or networks or [None])[0].dataset  # type: ignore
    check_same_data(sides, dataset)
    measures = list(dict.fromkeys(map(measure_of, plan.measures or [_DISTANCE])))
    if needy := [one for one in measures if MEASURES[one].needs == "inputs" and not networks]:
        raise UserError(f"{needy[0]} takes out what inputs explain, and of files nobody knows them")
    if plan.bootstrap and (one := next((m for m in measures if MEASURES[m].needs == "inputs"), "")):
        raise UserError(f"{one} of many networks has no intervals over examples: no ‹bootstrap›")
    shown = _shown(plan, sides, networks, dataset)
    with ExitStack() as stack:
        readers = {
            side.role: stack.enter_context(reader_of(side, _layers(side, plan), shown, device))
            for side in sides
        }
        with Run.write(plan, plan.run_name or _name(sides, dataset), networks, command) as run:
            run.say_name(plan.quiet)
            if shown.data is not None:
                run.tell_sight(networks, shown.data, dataset)
            seen = replace(shown, batches=_Followed(shown, plan.quiet))
            halved = plan.bootstrap > 0
            sums = read_networks(
                readers, seen, measures, plan.flattening, plan.block, plan.keep, halved, device
            )
            found = between(sums, lambda pairs: progress(pairs, "measuring pairs", plan.quiet))
            draws = _drawn(found, sums, plan) if halved else {}
            run.record |= {
                "networks": {side.role: side.sha256 for side in sides},
                "activations": {s.role: s.record() for s in sides if isinstance(s, Activations)},
                "device": str(device),
                "dataset": dataset,
                "examples": shown.examples,
                "block": found.block,
                "kept": min(sums.n, plan.keep) if halved else None,
                "flattenings": dict(found.flattenings),
            }
            write_networks_page(run, plan, found, draws)
    return run


def _sides(plan: ComparePlan) -> list[Opened]:
    roles = roles_of(plan.networks)
    sources = dict(zip(roles, plan.networks, strict=True))
    words = plan.layers[0]
    wanted: dict[str, list[str] | None] = dict.fromkeys(roles, words)
    for role, source in sources.items():
        if words and (file := activations_at(source, role)) is not None:
            some = [w for w in words if any(fnmatchcase(layer, w) for layer in file.layers)]
            wanted[role] = some or words
    return opened(plan, sources, wanted)


def _check_words(plan: ComparePlan, sides: list[Opened]) -> None:
    """Refuse a word for layers of which no network has one.

    Raises:
        UserError: with a measure that may have been meant.
    """
    for word in plan.layers[0] or []:
        if not any(_known(side, [word]) for side in sides):
            near = did_you_mean(word, WORDS) or "; `frankenstein layers NETWORK` lists them"
            raise UserError(f"no network has a layer {word!r}{near}")


def _known(side: Opened, words: list[str]) -> list[str]:
    """The words that say a layer of one side."""
    if isinstance(side, Activations):
        return [word for word in words if any(fnmatchcase(s, word) for s in side.layers)]
    return known_words(side.module, words, dict(side.inputs) or None)


def _layers(side: Opened, plan: ComparePlan) -> list[str] | None:
    """Those asked for that a network has, or all, so that it says which it has not."""
    if isinstance(side, Activations):
        return None  # chosen already
    words = plan.layers[0]
    if words is None:
        return [*block_layers(side.module, dict(side.inputs) or None)]
    return _known(side, words) or words


def _shown(
    plan: ComparePlan, sides: list[Opened], networks: list[Network], dataset: str | None
) -> Shown:
    if not networks:
        return shown_to(sides, None)
    data = data_for(networks, dataset, plan.data_root, eval_batch_size=plan.batch_size)
    return shown_to(sides, data)


class _Followed:
    """The batches with a bar; they may be counted, and passed over."""

    def __init__(self, shown: Shown, quiet: bool) -> None:
        self.shown, self.quiet = shown, quiet

    def __len__(self) -> int:
        return len(self.shown.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(progress(self.shown.batches, "running networks", self.quiet))


def _drawn(
    found: Between, sums: NetworkSimilarities, plan: ComparePlan
) -> dict[str, Tensor]:  # by measure: (B, K, K, L)
    """Every value at matching layers again, on random halves of the kept examples."""
    n = min(sums.n, plan.keep)
    if not plan.quiet:
        Console().out(f"drawing halves of {n} kept examples for intervals", highlight=False)
    drawn = {}
    for measure, flattening in found.flattenings.items():
        kept, values = sums.kept(measure), []
        if sums.kind(measure) == "grams":  # a half of a layer in its span has the same Gram matrix
            kept = {
                name: {s: rotate_to_span(z) for s, z in layers.items()}
                for name, layers in kept.items()
            }
        chosen = [half for half, _ in halves(n, plan.bootstrap, plan.seed)]
        for half in progress(chosen, f"halves, {measure}", plan.quiet):
            again = NetworkSimilarities(
                [measure], flattening, max(4, len(half)), len(half), partial(label_of, sums.layers)
            )
            for name, layers in kept.items():
                some = {s: again.fold(name, s, z[half.to(z.device)]) for s, z in layers.items()}
                again.take(name, some)
            again.end()
            values.append(between(again, across=False).values[measure])
        drawn[measure] = torch.stack(values)
    return drawn


def _name(sides: list[Opened], dataset: str | None) -> str:
    architectures = {
        side.card.architecture if isinstance(side, Network) else "files" for side in sides
    }
    one = next(iter(architectures)) if len(architectures) == 1 else "networks"
    word = one.rpartition("/")[2].partition(":")[0].replace(".py", "")
    return "-".join(filter(None, [f"{len(sides)}-{word}", dataset]))
