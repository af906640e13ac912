"""One comparison, from a plan to a run: layers against layers, or a stitched representation."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from frankenstein.accumulators.layer_reservoir import LayerReservoir
from frankenstein.activations import Activations
from frankenstein.catalog import MEASURES
from frankenstein.data import ImageData
from frankenstein.errors import UserError, did_you_mean
from frankenstein.networks.accuracy import accuracy_line, network_accuracy
from frankenstein.networks.data import data_for
from frankenstein.report.progress import progress, progress_bar
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.shapes import FLATTENINGS, per_location, pooled
from frankenstein.similarity import networks
from frankenstein.similarity.compared import Compared
from frankenstein.similarity.matrices import bytes_of_one, labelled, measure_layers
from frankenstein.similarity.page import write_compare_page
from frankenstein.similarity.plan import WORDS, ComparePlan
from frankenstein.similarity.resampling import Certainty, certainties
from frankenstein.similarity.shown import Shown, shown_to
from frankenstein.similarity.subject import Subject, more_layers, subject_of
from frankenstein.surgery.read import Read
from frankenstein.training.device import device_of

_LONG = 10  # seconds of drawing that a person is told of before
_BESIDE = "within_class_unbiased_cka"
_SMALL = 2**24  # numbers in the sums of all classes: 128 MB
_PAIRS = 100  # of layers: each takes some milliseconds at the end


def run_compare(plan: ComparePlan, command: Command) -> Run:
    """Run the plan of `compare`."""
    if plan.more:
        return networks.run_networks(plan, command)
    device = device_of(plan.accelerator)
    with _layers_or_measures(plan):
        subject = subject_of(plan, device)
        data, shown = _shown(plan, subject)
        with subject.readers(shown) as readers:
            beside = _beside(plan, subject, shown, readers)
            subject = replace(subject, words=[*subject.words, *beside])
            return _run(plan, command, device, subject, data, shown, readers)


def _shown(plan: ComparePlan, subject: Subject) -> tuple[ImageData | None, Shown]:
    """What both sides are shown: held-out images, unless both are there already."""
    networks = subject.networks
    if not networks:
        return None, shown_to(subject.sides, None, subject.confounders, subject.labels)
    data = data_for(
        networks,
        subject.dataset,
        subject.data_root,
        eval_batch_size=plan.batch_size,
        texts=subject.texts,
    )
    return data, shown_to(subject.sides, data)


def _beside(
    plan: ComparePlan, subject: Subject, shown: Shown, readers: tuple[Read, Read]
) -> list[str]:
    """Likeness within classes of two networks, where no measure is named and it costs little."""
    data = shown.data
    asked = plan.measures or plan.of_run or plan.draws or plan.flattening
    if asked or subject.files or data is None or not data.classed or shown.padded:
        return []
    sides = [[pooled(z).shape[1] + 2 for z in read(shown.black).values()] for read in readers]
    small = data.num_classes * math.prod(map(sum, sides)) <= _SMALL
    return [_BESIDE] if small and math.prod(map(len, sides)) <= _PAIRS else []


def _run(
    plan: ComparePlan,
    command: Command,
    device: torch.device,
    subject: Subject,
    data: ImageData | None,
    shown: Shown,
    readers: tuple[Read, Read],
) -> Run:
    kept = _reservoir(plan, subject, readers, shown)
    with Run.write(plan, plan.run_name or subject.name, subject.networks, command) as run:
        run.say_name(plan.quiet)
        if data is not None:
            run.tell_sight(subject.networks, data, subject.dataset)
        compared = _measure(plan, subject, readers, shown, kept)
        run.numbers |= compared.numbers()
        if data is not None:
            run.numbers |= network_accuracy(subject.networks, data, device, plan.quiet)
        flattenings = {name: one.flattening for name, one in compared.matrices.items()}
        run.record |= {
            "networks": {side.role: side.sha256 for side in subject.sides},
            "activations": {file.role: file.record() for file in subject.files},
            "device": str(device),
            "dataset": subject.dataset,
            "examples": shown.examples,
            "block": next(iter(compared.matrices.values())).block,
            "kept": None if kept is None else len(kept),
            "flattening": " or ".join(dict.fromkeys(flattenings.values())),
            "flattenings": flattenings,
        }
        if data is not None:
            counted = shown.examples, subject.dataset, run.networks, data.called
            run.shown.append(accuracy_line(run.numbers, *counted))
        write_compare_page(run, plan, compared)
        run.shown += more_layers(subject, plan)
    return run


def _measure(
    plan: ComparePlan,
    subject: Subject,
    readers: tuple[Read, Read],
    shown: Shown,
    kept: LayerReservoir | None,
) -> Compared:
    """One pass over the examples for all layers and measures, and draws of what it has kept."""
    similarities = measure_layers(
        *readers,
        progress(shown.batches, "comparing layers", plan.quiet),
        subject.measures,
        _flattening(plan, shown),
        plan.block or shown.block,
        plan.keep,
        None if kept is None else kept.update,
        one_a_side=plan.is_table,
        padded=shown.padded,
    )
    return Compared(
        list(dict.fromkeys(subject.words)) if plan.is_table else subject.measures,
        labelled(similarities, plan.is_table),
        {} if kept is None else _drawn(kept, similarities.flattenings, plan),
        similarities,
    )


def _flattening(plan: ComparePlan, shown: Shown) -> str | None:
    """The one that is named; of sentences that are drawn, one that has a row for each."""
    return plan.flattening or ("pooled" if shown.padded and plan.draws else None)


def _bytes_of(layers: Mapping[str, Any], flatten: Callable[[Any], Tensor] | None) -> int:
    """What one example of these layers takes, flattened or as it is."""
    return bytes_of_one({s: flatten(z) if flatten else z for s, z in layers.items()})


@contextmanager
def _layers_or_measures(plan: ComparePlan) -> Iterator[None]:
    """Say of a layer that is not there which measure it may have been meant to be.

    Raises:
        UserError: with that suggestion, in place of the one that was raised.
    """
    try:
        yield
    except UserError as error:
        text = str(error)
        for word in [word for side in plan.layers for word in side or []]:
            near = did_you_mean(word, WORDS)
            if near and f"has no layer {word!r}" in text and "did you mean" not in text:
                raise UserError(f"no layer and no measure is called {word!r}{near}") from None
        raise


def _reservoir(
    plan: ComparePlan, subject: Subject, readers: tuple[Read, Read], shown: Shown
) -> LayerReservoir | None:
    """What keeps examples in the pass, if draws are asked for; how much it will keep is printed."""
    if not plan.draws:
        return None
    flatten = FLATTENINGS[_flattening(plan, shown) or "pooled"] if shown.padded else None
    if flatten is per_location:
        raise UserError(
            "‹bootstrap› and ‹permutations› draw sentences, and per_location has a row a token; "
            "take pooled or last for the ‹flattening›"
        )
    if not plan.quiet:
        count = min(plan.keep, shown.examples)
        of_one = sum(
            side.bytes_of_one
            if isinstance(side, Activations)
            else _bytes_of(read(shown.black), flatten)
            for side, read in zip(subject.sides, readers, strict=True)
        )
        Console().out(
            f"keeping {count} of {shown.examples} {shown.called} for intervals and nulls: "
            f"{count * of_one / 1e6:,.1f} MB",
            highlight=False,
        )
    inputs = any(MEASURES[name].needs == "inputs" for name in subject.measures)
    return LayerReservoir(plan.keep, inputs, flatten)


def _drawn(
    kept: LayerReservoir, flattenings: Mapping[str, str], plan: ComparePlan
) -> dict[str, Certainty]:
    """Intervals and nulls of these measures, with a bar; if long, first how long."""
    counts = plan.bootstrap, plan.permutations, plan.seed
    if plan.quiet:
        return certainties(kept, flattenings, *counts)
    with progress_bar() as bar:
        total = len(flattenings) * (1 + plan.bootstrap + plan.permutations)
        task = bar.add_task("drawing examples", total=total, numbers="")

        def expect(seconds: Mapping[str, float]) -> None:
            if sum(seconds.values()) > _LONG:
                bar.console.print(_expected(seconds, plan), highlight=False)

        return certainties(kept, flattenings, *counts, expect, lambda: bar.advance(task))


def _expected(seconds: Mapping[str, float], plan: ComparePlan) -> str:
    each = ", ".join(f"{name} {_time(seconds[name])}" for name in seconds)
    return (
        f"{plan.bootstrap} halves and {plan.permutations} shuffles take about "
        f"{_time(sum(seconds.values()))} ({each}); fewer layers, measures or draws take less"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
