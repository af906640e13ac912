"""One evaluation on held-out images, from a network, a graft or a run's folder to a folder."""

from pathlib import Path

from torch import nn

from frankenstein.data import ImageData
from frankenstein.errors import UserError
from frankenstein.labels import most_frequent
from frankenstein.networks.accuracy import below_chance_warning, chance_advice, evaluate_network
from frankenstein.networks.data import data_for, look_of, open_all
from frankenstein.networks.network import Network, networks_name
from frankenstein.report import Fold, Picture, code, format_value
from frankenstein.report.columns import markdown_columns, rich_columns
from frankenstein.report.progress import progress
from frankenstein.runs.fields import KINDS
from frankenstein.runs.page import write_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.runs.stitch_run import run_label
from frankenstein.stitching.controls import controls_for
from frankenstein.stitching.depths import reader_behind
from frankenstein.stitching.depths_page import depth_pictures
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.stitching.evaluate_plan import EvaluatePlan
from frankenstein.stitching.graft_file import open_graft
from frankenstein.stitching.pair import StitchedRun
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.recount import recounted_ends
from frankenstein.stitching.score_table import (
    columns_with,
    found_of,
    score_blocks,
    shown_scores,
)
from frankenstein.stitching.warnings import stitch_warnings
from frankenstein.surgery import seeing
from frankenstein.training.device import device_of
from frankenstein.zoo.files import GraftFileError

_AS_IN_THE_RUN = ("dataset", "model", "measures", "data_root", "untrained")  # unless given


def run_evaluate(plan: EvaluatePlan, command: Command) -> Run:
    """Run the plan of `evaluate`."""
    subject = Path(plan.subject)
    trained = subject / "network.safetensors"  # of a run of train
    if subject.is_dir() and not trained.is_file():
        _check_run(subject)
        return _evaluate_stitches(plan, command)
    if plan.stitch and not trained.is_file():
        raise UserError(f"‹stitch› chooses among the stitches of a run, and {subject} is no folder")
    return _evaluate_network(plan, str(trained) if trained.is_file() else plan.subject, command)


def _check_run(folder: Path) -> None:
    """Name a file to someone who names the folder of saved networks."""
    if (folder / "config.json").is_file():
        raise UserError(f"{folder} is a folder of transformers; say hf/{folder}")
    files = sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".pt"))
    if files and not (folder / "config.yaml").is_file():
        raise UserError(
            f"{folder} is no run of train.py or stitch.py: there is no {folder / 'config.yaml'}; "
            f"to evaluate a network in it, name its file, such as {files[0]}"
        )


def _opened(plan: EvaluatePlan, file: str) -> Network:
    if Path(file).suffix == ".pt2":
        return open_graft(file)
    try:
        return open_all({"subject": file}, plan.model, **plan.told)[0]
    except GraftFileError:
        return open_graft(file)


def _evaluate_network(plan: EvaluatePlan, file: str, command: Command) -> Run:
    device = device_of(plan.accelerator)
    network = _opened(plan, file).to(device)
    dataset = plan.dataset or network.dataset
    data = _data(plan, [network], dataset)
    name = plan.run_name or networks_name([network], dataset)
    with Run.write(plan, name, [network], command) as run:
        run.say_name(plan.quiet)
        run.tell_sight([network], data, dataset)
        batches = progress(data.val_batches(), "evaluating", plan.quiet)
        seen = seeing(network.module, look_of(network, data)).to(device)
        numbers = evaluate_network(seen, batches, device)
        run.numbers |= numbers
        run.record |= {"network": network.sha256, "device": str(device)}
        run.record |= {"dataset": dataset, "examples": data.num_val}
        table = columns_with([]), {f"{key}/{run.name}": one for key, one in numbers.items()}
        chance = most_frequent(data.val_labels)
        advice = chance_advice(network.record())
        images = data.num_val
        warnings = below_chance_warning(numbers["accuracy"], chance, images, advice=advice)
        run.finding = (
            f"Right in {format_value(numbers['accuracy'], percent=True)} of {images:,} held-out "
            f"images of {dataset}; always the most frequent answer would be in "
            f"{format_value(chance, percent=True)}."
        )
        blocks = [
            f"{code(str(file))} on the {data.num_val} held-out images of {dataset}. The interval "
            "is Wilson's, in %; the loss is cross entropy in nats.",
            *(f"**Warning:** {line}." for line in warnings),
            markdown_columns(*table, [run.name]),
        ]
        write_page(run, f"Evaluation of {run.name}", blocks)
        run.shown.append(rich_columns(*table, [run.name]))
        run.shown += [f"warning: {line}" for line in warnings]
    return run


def _evaluate_stitches(plan: EvaluatePlan, command: Command) -> Run:
    device = device_of(plan.accelerator)
    kinds = [kind for kind in KINDS if kind in (plan.stitch or KINDS)]
    given = {name: getattr(plan, name) for name in _AS_IN_THE_RUN}
    changed = {name: value for name, value in given.items() if value is not None}
    stitched = StitchedRun.read(
        plan.subject,
        kinds,
        plan.other_networks,
        quiet=plan.quiet,
        allow_code=plan.allow_code,
        **changed,
    ).to(device)
    pair, of_run = stitched.pair, stitched.plan
    dataset = of_run.dataset or pair.receiver.dataset
    both = [pair.sender, pair.receiver]
    data = _data(plan, both, dataset, of_run)
    pair = pair.seeing(data)
    name = plan.run_name or run_label(plan.subject, plan.dataset)
    with Run.write(plan, name, both, command) as run:
        run.say_name(plan.quiet)
        run.tell_sight(both, data, dataset)
        controls = controls_for(of_run, pair, data, device, floor=plan.floor)
        laid: dict[str, nn.Module] = {kind: stitched.aligned(kind) for kind in kinds}
        halves = pair.joint.sender, pair.joint.receiver
        followed = (pair.receiver.module, of_run.layers[1])
        ends = (
            recounted_ends(*halves, laid, controls, data, device, followed)
            if of_run.recount
            else None
        )
        run.numbers |= evaluate_stitches(
            *halves,
            laid,
            progress(data.mixed_val_batches(), "evaluating", plan.quiet),
            of_run.measures,
            device,
            controls,
            plan.percentile,
            reader_behind(*followed, pair.joint.receiver.end),
            ends,
        )
        run.numbers["accuracy/most_frequent"] = most_frequent(data.val_labels)
        run.record |= {"device": str(device), "dataset": dataset}
        run.record["examples"] = data.num_val
        found = found_of(run.numbers, of_run, data)
        run.finding = found[0] if found else ""
        blocks: list[str | Picture | Fold] = [
            *found[1:],
            f"The stitches of `{Path(plan.subject)}` on the {data.num_val} held-out images "
            f"of {dataset}.",
            *(f"**Warning:** {line}." for line in stitch_warnings(run.numbers, of_run)),
            *score_blocks(run.numbers, of_run, controls, plan.percentile),
            *depth_pictures(run.numbers, of_run),
        ]
        write_page(run, f"Evaluation of {run.name}", blocks)
        run.shown += shown_scores(run.numbers, of_run, run.name, run.networks)
    return run


def _data(
    plan: EvaluatePlan,
    networks: list[Network],
    dataset: str | None,
    of_run: StitchPlan | None = None,  # whose controls are trained again as the run trained them
) -> ImageData:
    return data_for(
        networks,
        dataset,
        of_run.data_root if of_run else plan.data_root,
        of_run.batch_size if of_run else plan.batch_size,
        plan.batch_size,
        of_run.seed if of_run else 0,
        answering=networks[-1:],
        texts=plan.texts or (of_run.texts if of_run else ()),
    )
