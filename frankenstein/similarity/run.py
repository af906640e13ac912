"""One comparison, from a plan to a run: layers against layers, or a stitched representation."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

from frankenstein.accumulators.layer_reservoir import LayerReservoir
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError, did_you_mean
from frankenstein.networks.accuracy import accuracy_line, network_accuracy
from frankenstein.networks.data import data_for
from frankenstein.report.progress import progress_bar
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.similarity.page import write_compare_page
from frankenstein.similarity.plan import WORDS, ComparePlan
from frankenstein.similarity.resampled_layers import certainties
from frankenstein.similarity.resampling import Certainty
from frankenstein.similarity.subject import subject_of
from frankenstein.surgery import LayerError
from frankenstein.training.device import device_of

LONG = 10  # seconds of drawing that a person is told of before


def run_compare(plan: ComparePlan, command: Command) -> Run:
    """Run the plan of `compare`."""
    device = device_of(plan.accelerator)
    with _layers_or_measures(plan):
        subject = subject_of(plan, device)
        receiver = subject.networks[1]
        data = data_for(
            receiver, subject.dataset, subject.data_root, eval_batch_size=plan.batch_size
        )
        images, dataset = len(data.val_labels), subject.dataset or receiver.dataset
        kept = None
        if plan.draws:
            inputs = any(MEASURES[name].needs == "inputs" for name in subject.measures)
            kept = LayerReservoir(plan.keep, inputs)
            _announce(min(plan.keep, images), images, subject.bytes_of_one(device), plan.quiet)
        with Run.write(plan, plan.run_name or subject.name, subject.networks, command) as run:
            run.say_name(plan.quiet)
            compared = subject.measure(plan, data, device, None if kept is None else kept.update)
            flattenings = {name: one.flattening for name, one in compared.matrices.items()}
            sure = {} if kept is None else _drawn(kept, flattenings, plan)
            run.numbers |= compared.numbers()
            run.numbers |= network_accuracy(subject.networks, data, device, plan.quiet)
            run.record |= {
                "networks": {network.role: network.sha256 for network in subject.networks},
                "device": str(device),
                "dataset": dataset,
                "examples": images,
                "block": next(iter(compared.matrices.values())).block,
                "kept": None if kept is None else len(kept),
                "flattening": " or ".join(dict.fromkeys(flattenings.values())),
                "flattenings": flattenings,
            }
            run.shown.append(accuracy_line(run.numbers, images, dataset))
            write_compare_page(run, plan, compared, sure)
    return run


@contextmanager
def _layers_or_measures(plan: ComparePlan) -> Iterator[None]:
    """Say of a layer that is not there which measure it may have been meant to be.

    Raises:
        UserError: with that said, in place of the one that was raised.
    """
    try:
        yield
    except LayerError as error:
        text = str(error)
        for word in [word for side in plan.layers for word in side or []]:
            near = did_you_mean(word, WORDS)
            if near and f"has no layer {word!r}" in text and "did you mean" not in text:
                raise UserError(f"no layer and no measure is called {word!r}{near}") from None
        raise


def _announce(count: int, images: int, bytes_of_one: int, quiet: bool) -> None:
    """Print first how much is going to be kept."""
    if not quiet:
        size = count * bytes_of_one / 1e6
        Console().out(
            f"keeping {count} of {images} images for intervals and nulls: {size:,.1f} MB",
            highlight=False,
        )


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
            if sum(seconds.values()) > LONG:
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
