"""The main job from nothing: two networks, six stitches, one matrix, one report."""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from frankenstein.catalog import DATASETS, STITCHES
from frankenstein.errors import UserError
from frankenstein.records import read_yaml
from frankenstein.report import (
    CellMatrix,
    Picture,
    bars,
    format_value,
    interval_text,
    markdown_table,
    rich_table,
)
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.report.progress import progress
from frankenstein.runs.page import write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.shapes import num_units
from frankenstein.shipped import shipped
from frankenstein.studies.folder import begin
from frankenstein.studies.plan import DemoPlan
from frankenstein.studies.run import run_step
from frankenstein.surgery import cut_points
from frankenstein.zoo import build_network

KINDS = ("identity", "permutation", "pseudo_inverse", "low_rank", "sparse", "cka_regularized")
_STUDY = "configs/studies/demo.yaml"
_EPOCHS = {"digits": 20, "fashion": 4}  # of a network: 95 % of held-out digits, 90 % of clothes
_STITCH_EPOCHS = {"digits": 10, "fashion": 1}  # of a stitch that is trained
_COLUMNS = ("relative_accuracy", "agreement", "unbiased_cka", "mean_cca")
_SHARES = ("accuracy", "relative", "agreement")

Numbers = Mapping[str, Mapping[str, float]]  # of every kind


def run_demo(plan: DemoPlan, command: Command) -> Run:
    """Run the plan of `demo`: the steps of its study, and a page of its own."""
    steps = _steps(plan)
    _check_rank(plan, steps)
    with begin(plan, plan.run_name or f"{plan.model}-{plan.dataset}", command) as demo:
        told = progress(steps, "training, stitching, comparing", plan.quiet)
        # A bar of all steps is what a person wants to see; each step's own page has the rest.
        runs = [run_step(step, demo, replace(plan, quiet=True)) for step in told]
        stitches = {run.name: run.numbers for run in runs if run.name in KINDS}
        *_, compared = runs
        demo.networks = compared.networks
        demo.finding = _finding(stitches)
        _write(demo, plan, stitches, compared)
    images = next(iter(stitches.values()))["n/receiver"]
    title = f"six stitches, {images:,} held-out images"
    rows, header = _rows(stitches)
    place = header.index("relative")  # the page has it: 80 columns hold the others unbroken
    short = [[*row[:place], *row[place + 1 :]] for row in rows]
    table = rich_table(short, [*header[:place], *header[place + 1 :]], _SHARES, title)
    table.columns[0].no_wrap = True
    demo.shown.append(table)
    return demo


def _finding(stitches: Numbers) -> str:
    """The best stitch beside the receiver, and the control."""
    right = {kind: numbers["accuracy/after"] for kind, numbers in stitches.items()}
    best = max(right, key=lambda kind: right[kind])
    whole = stitches[best]["accuracy/receiver"]
    best_share, share, control = (
        format_value(one, percent=True) for one in (right[best], whole, right["identity"])
    )
    return (
        f"Stitched by `{best}`, the two networks are right in {best_share} of the images, and the "
        f"receiver by itself in {share}. Without a map (`identity`) it is {control}."
    )


def _steps(plan: DemoPlan) -> list[dict[str, dict[str, Any]]]:
    """The steps of the study, of this network, data set and layer."""
    steps = deepcopy(read_yaml(shipped(_STUDY))["steps"])
    for step in steps:
        for verb, values in step.items():
            values["dataset"] = plan.dataset
            if verb == "train":
                epochs = _EPOCHS[plan.dataset] if plan.epochs is None else plan.epochs
                values |= {"model": plan.model, "epochs": epochs}
            if verb == "stitch":
                values |= {"sender_layer": plan.layer, "receiver_layer": plan.layer}
                if STITCHES[values["family"]].trainable:
                    values["epochs"] = min(values["epochs"], _STITCH_EPOCHS[plan.dataset])
    return steps


def _check_rank(plan: DemoPlan, steps: list[dict[str, dict[str, Any]]]) -> None:
    """Refuse, before anything is trained, a layer of fewer units than a stitch has ranks."""
    network = build_network(plan.model, in_channels=DATASETS[plan.dataset].in_channels)
    shape = cut_points(network).get(plan.layer)  # who cuts it says that it is not there
    units = num_units((1, *shape)) if shape else math.inf
    rank = max(values.get("low_rank", 0) for step in steps for values in step.values())
    if units < rank:
        raise UserError(
            f"{plan.layer} of {plan.model} has {units} units, and the demo has a stitch of rank "
            f"{rank}; choose another ‹layer›"
        )


def _rows(stitches: Numbers) -> tuple[list[list[Any]], list[str]]:
    """Sender and receiver by themselves, then every kind of stitch as it is in the end."""
    first = next(iter(stitches.values()))
    rows: list[list[Any]] = [
        [role, *_accuracy_of(first, role), *[None] * len(_COLUMNS)]
        for role in ("sender", "receiver")
    ]
    for kind, numbers in stitches.items():
        others = (numbers[f"{column}/after"] for column in _COLUMNS)
        rows.append([kind, *_accuracy_of(numbers, "after"), *others])
    names = [column.removesuffix("_accuracy").replace("_", " ") for column in _COLUMNS]
    return rows, ["", "accuracy", "95\xa0% interval", *names]


def _accuracy_of(numbers: Mapping[str, float], row: str) -> tuple[float, str]:
    low, high = (numbers[f"accuracy_{end}/{row}"] for end in ("low", "high"))
    return numbers[f"accuracy/{row}"], interval_text(low, high)


def _cells(matrix: LabelledMatrix) -> CellMatrix:
    return CellMatrix(matrix.values, matrix.rows, matrix.columns, (0.0, 1.0), matrix.measure)


def _write(demo: Run, plan: DemoPlan, stitches: Numbers, compared: Run) -> None:
    first = next(iter(stitches.values()))
    lines = {role: first[f"accuracy/{role}"] for role in ("sender", "receiver")}
    heights = {
        kind.replace("_", "\n"): {when: one[f"accuracy/{when}"] for when in ("before", "after")}
        for kind, one in stitches.items()
    }
    demo.numbers |= {f"accuracy/{role}": value for role, value in lines.items()}
    ((measure, matrix),) = compared.matrices().items()
    table = (compared.folder / f"{measure}.csv").relative_to(demo.folder)
    write_page(
        demo,
        f"Two {plan.model} networks on {plan.dataset}",
        [
            "Two networks were trained from different seeds. The front of the first was stitched "
            f"to the end of the second at `{plan.layer}`, in six ways. Everything below is "
            f"measured on {first['n/receiver']:,} held-out images (intervals are Wilson's, in %); "
            "measures compare stitched with target, place by place.",
            Picture("accuracy", bars(heights, lines=lines), _ACCURACY),
            markdown_table(*_rows(stitches), percent=_SHARES),
            Picture("matrix", matrix.plot(), _MATRIX, _cells(matrix)),
            f"Every value of the matrix is in `{table}`. Each run under `train/`, `stitch/` and "
            "`compare/` has its own report, and its `config.yaml` replays it.",
        ],
    )


_ACCURACY = (
    "Accuracy of the grafted network with each kind of stitch, at its start and in the end; the "
    "lines are the two networks by themselves. Identity is the control: near chance, it says that "
    "the two networks do not share their units, so what the others reach is the stitch's doing."
)
_MATRIX = (
    "Unbiased linear CKA of every layer of the sender (rows) with every layer of the receiver "
    "(columns): 1 for the same representation up to rotation, shift and scale, about 0 for "
    "unrelated ones. A bright diagonal says that the networks do alike things at alike depths."
)
