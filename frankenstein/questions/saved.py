"""`analyze` of two files of activations: what their units do, for nothing else can be asked."""

from collections.abc import Sequence

import torch
from torch import Tensor

from frankenstein.activations import Activations, activations_at
from frankenstein.activations.confounders import read_classes
from frankenstein.data.batches import in_order
from frankenstein.errors import UserError
from frankenstein.networks.network import short_name
from frankenstein.questions.activations.facts import ActivationSums, LayerAnswer
from frankenstein.questions.activations.page import TABLE, layer_cells
from frankenstein.questions.activations.question import by_chance
from frankenstein.questions.plan import AnalyzePlan
from frankenstein.report import code, markdown_table, rich_table
from frankenstein.report.progress import progress
from frankenstein.runs.page import write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.shapes import pooled

_ABOUT = (
    "*Dead* units have one value for all examples and places. *Zeros* are values of exactly 0. "
    "*Rms* is the root of the mean square of all values. *Sparseness* is that of Vinje & Gallant "
    "2000: 0 if all of a unit's values are of one size, 1 if one alone is not 0. *Selectivity* is "
    "the index of Morcos et al. 2018, for layers that are never negative; *class variance* is the "
    "share of a unit's variance between classes (eta squared). *Dimension* is the participation "
    "ratio of the covariance of units. The last three are of means over places, and behind each "
    "stands, in brackets, what chance leaves of it: with the labels shuffled, or each unit's "
    "values. Of activations nobody knows what a network that has learned nothing would give, nor "
    "the bounds at which units saturate."
)

_SHORT = ("dead", "zeros", "sparseness", "class variance", "dimension")


def saved_activations(plan: AnalyzePlan) -> list[Activations] | None:
    """Both sides, if both are files of activations, with the layers asked for; None if neither is.

    Raises:
        UserError: for a question that only networks can answer, or what is of no use to files.
    """
    sources = {"sender": plan.sender, "receiver": plan.receiver}
    found = [activations_at(source, role) for role, source in sources.items()]
    files = [file for file in found if file is not None]
    if len(files) < 2:
        if plan.labels is not None:
            raise UserError("‹labels› are for two files of activations; networks' data have theirs")
        return None
    both = " and ".join(sources.values())
    for name in plan.asked:
        if name != "activations" and not plan.all:
            raise UserError(
                f"‹{name}› asks networks, and {both} hold activations; of these ‹activations› can "
                "be asked"
            )
    for name in ("more", "model", *plan.told):
        if getattr(plan, name):
            raise UserError(f"‹{name}› is for networks, and {both} are activations; leave it out")
    words = plan.sender_layer, plan.receiver_layer
    return [
        file.of(None if one is None else [word for word in one.split(",") if word])
        for file, one in zip(files, words, strict=True)
    ]


def run_saved(plan: AnalyzePlan, command: Command, files: Sequence[Activations]) -> Run:
    """Every layer of each file, in one pass over its rows."""
    labels = None if plan.labels is None else read_classes(plan.labels, files)
    answers = [one for file in files for one in _answers(plan, file, labels)]
    name = plan.run_name or "-vs-".join(short_name(file.source) for file in files)
    with Run.write(plan, name, (), command) as run:
        run.say_name(plan.quiet)
        run.numbers |= {
            f"activations/{what}/{one.role}/{one.layer}": value
            for one in answers
            for what, value in one.numbers.items()
        }
        run.record |= {
            "device": "cpu",
            "called": "examples",
            "questions": ["activations"],
            "networks": {file.role: file.sha256 for file in files},
            "activations": {file.role: file.record() for file in files},
            "rows": {file.role: min(len(file), plan.examples) for file in files},
        }
        rows = [[one.role, one.layer, *layer_cells(one)] for one in answers]
        header = ["file", "layer", *TABLE]
        about = "Questions about two files of activations: " + " and ".join(
            f"{code(file.source)} ({file.role}), {min(len(file), plan.examples)} of "
            f"{len(file)} examples"
            for file in files
        )
        blocks = [f"{about}.", "## Activations", _ABOUT, markdown_table(rows, header, header[2:])]
        if others := [word for word in plan.asked if word != "activations"]:
            blocks.append(f"Not asked, for there are no networks: {', '.join(others)}.")
        write_page(run, f"Analysis: {name}", [*blocks, "Every number is in `summary.json`."])
        short = [[one.role, one.layer, *_in_short(one)] for one in answers]
        run.shown.append(rich_table(short, ["file", "layer", *_SHORT], title="activations"))
    return run


def _answers(plan: AnalyzePlan, file: Activations, labels: Tensor | None) -> list[LayerAnswer]:
    sums = {name: ActivationSums() for name in file.layers}
    rows: dict[str, list[Tensor]] = {name: [] for name in file.layers}
    parts = in_order(len(file), plan.batch_size, plan.examples)(0)
    for part in progress(parts, f"reading the {file.role}", plan.quiet):
        for name, z in file.read(part).items():
            sums[name].update(z)
            rows[name].append(pooled(z))
    chosen = None if labels is None else labels[torch.cat([*parts])]
    generator = torch.Generator().manual_seed(plan.seed)
    return [
        LayerAnswer(
            file.role, name, z.shape[1], sums[name].result(), by_chance(z, chosen, generator)
        )
        for name, parts_of in rows.items()
        for z in [torch.cat(parts_of)]
    ]


def _in_short(one: LayerAnswer) -> list[str]:
    """What a terminal has room for."""
    return [cell for name, cell in zip(TABLE, layer_cells(one), strict=True) if name in _SHORT]
