"""Intervals and nulls on the command line: options, sizes, columns, words."""

from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console

from frankenstein.accumulators.layer_reservoir import LayerReservoir
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.networks.checks import at_least
from frankenstein.report.progress import progress_bar
from frankenstein.similarity.resampled_layers import certainties
from frankenstein.similarity.resampling import Certainty

LONG = 10  # seconds that a person is told of before
LEAST_DRAWS = 39  # with fewer the ends of a 95 % interval lie outside of all draws


def check_options(values: Mapping[str, Any]) -> None:
    """Refuse numbers of draws and examples that no interval or null can be made from.

    Raises:
        UserError: if they are too small.
    """
    at_least(bootstrap=(values["bootstrap"], 0), permutations=(values["permutations"], 0))
    at_least(keep=(values["keep"], 8))
    if 0 < values["bootstrap"] < LEAST_DRAWS:
        raise UserError(
            f"--bootstrap must be at least {LEAST_DRAWS} for the ends of 95 %, or 0 for none, got "
            f"{values['bootstrap']}"
        )


def kept_for(values: Mapping[str, Any], measures: list[str]) -> LayerReservoir | None:
    """What keeps examples in the one pass, if an interval or a null is asked for."""
    if not (values["bootstrap"] or values["permutations"]):
        return None
    inputs = any(MEASURES[name].needs == "inputs" for name in measures)
    return LayerReservoir(values["keep"], inputs)


def announce(kept: LayerReservoir | None, bytes_of_one: int, images: int, quiet: bool) -> None:
    """Say first how much is going to be kept."""
    if kept is None or quiet:
        return
    count = min(kept.examples.limit, images)
    size = count * bytes_of_one / 1e6
    Console().out(
        f"keeping {count} of {images} images for intervals and nulls: {size:,.1f} MB",
        highlight=False,
    )


def drawn(
    kept: LayerReservoir, flattenings: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, Certainty]:
    """Intervals and nulls of these measures, with a bar; if long, first how long."""
    counts = values["bootstrap"], values["permutations"], values["seed"]
    if values["quiet"]:
        return certainties(kept, flattenings, *counts)
    with progress_bar() as bar:
        total = len(flattenings) * (1 + values["bootstrap"] + values["permutations"])
        task = bar.add_task("drawing examples", total=total, numbers="")

        def expect(seconds: Mapping[str, float]) -> None:
            if sum(seconds.values()) > LONG:
                bar.console.print(_expected(seconds, *counts[:2]), highlight=False)

        return certainties(kept, flattenings, *counts, expect, lambda: bar.advance(task))


def _expected(seconds: Mapping[str, float], bootstrap: int, permutations: int) -> str:
    each = ", ".join(f"{name} {_time(seconds[name])}" for name in seconds)
    return (
        f"{bootstrap} halves and {permutations} shuffles take about {_time(sum(seconds.values()))}"
        f" ({each}); fewer layers, measures or draws take less"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def columns(sure: Certainty | None, scale: float = 1.0) -> dict[str, torch.Tensor]:
    """What is known of a value besides itself, by column, in the order shown."""
    if sure is None:
        return {}
    found = {"of the kept": sure.value / scale}
    if sure.low is not None and sure.high is not None:
        found |= {"low": sure.low / scale, "high": sure.high / scale}
    if sure.null_mean is not None and sure.p_value is not None:
        found |= {"null mean": sure.null_mean / scale, "p": sure.p_value}
    return found


def explained(values: Mapping[str, Any], sure: Mapping[str, Certainty], images: int) -> list[str]:
    """How to read these columns, for a report; nothing if there are none."""
    if not sure:
        return []
    n = next(iter(sure.values())).examples
    of_all = f"{n} of the {images} images, drawn uniformly" if n < images else f"all {n} images"
    text = [
        f"How sure: `of the kept` is the measure of {of_all}, and what stands behind it is of "
        "these."
    ]
    if values["bootstrap"]:
        text.append(
            f"`low` to `high` is a 95 % interval over examples: percentiles of "
            f"{values['bootstrap']} random halves of them (half of the examples, none twice, "
            "spread as much as redrawn ones do), moved so that their mean is the value. It holds "
            "what the measure gives on average on so many examples, its bias included."
        )
        if n < images:
            text.append(f"It is as wide as for {n} images: wider than the whole value deserves.")
    if values["permutations"]:
        text.append(
            f"`null mean` is what the measure gives on average over {values['permutations']} "
            "shuffles of the receiver's examples, when the two have nothing in common; `p` is the "
            "share of shuffles, with the value itself counted, that are at least as alike. It is "
            "of each pair by itself."
        )
    return [" ".join(text)]
