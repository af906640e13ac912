"""One evaluation on held-out images, from a network's file or a run's folder to a folder."""

from pathlib import Path
from typing import Any

from rich.console import RenderableType

from frankenstein.errors import UserError
from frankenstein.labels import most_frequent
from frankenstein.networks.cards import cards_of
from frankenstein.networks.checks import at_least, data_for
from frankenstein.networks.doubts import doubts, untaught
from frankenstein.networks.tally import evaluate_network
from frankenstein.report import markdown_table, rich_table
from frankenstein.report.progress import progress
from frankenstein.runs.folder import run_folder
from frankenstein.runs.names import networks_name, run_label
from frankenstein.runs.page import write_run_report
from frankenstein.stitching.control_options import controls_for
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.stitching.options import family_in_words
from frankenstein.stitching.pair import check_model
from frankenstein.stitching.saved import read_run
from frankenstein.stitching.score_tables import KINDS, interval_text, score_blocks, shown
from frankenstein.training.trainer import device_of
from frankenstein.zoo import load_network, network_sha256, read_card

_KEPT = ("dataset", "model", "measures", "data_root")  # as in the run, unless given


def run_evaluate(values: dict[str, Any], config: str) -> tuple[Path, list[RenderableType]]:
    """Run `frankenstein evaluate` with these values; returns its folder and what to show."""
    at_least(batch_size=(values["batch_size"], 1))
    trained = Path(values["subject"]) / "network.safetensors"  # of a run of train.py
    if trained.is_file():
        return _network(values | {"subject": str(trained)}, config)
    if Path(values["subject"]).is_dir():
        _check_run(Path(values["subject"]))
        return _stitches(values, config)
    if values["stitch"]:
        raise UserError(
            f"--stitch chooses among the stitches of a run, and {values['subject']} is no folder"
        )
    return _network(values, config)


def _check_run(folder: Path) -> None:
    """Name a file to someone who names the folder of saved networks."""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".pt"))
    if files and not (folder / "config.yaml").is_file():
        raise UserError(
            f"{folder} is no run of train.py or stitch.py: there is no {folder / 'config.yaml'}; "
            f"to evaluate a network in it, name its file, such as {files[0]}"
        )


def _network(values: dict[str, Any], config: str) -> tuple[Path, list[RenderableType]]:
    subject, device = values["subject"], device_of(values["accelerator"])
    check_model(values["model"], subject)
    card = read_card(subject, values["model"])
    network = load_network(subject, values["model"]).to(device)
    dataset, batch_size = values["dataset"] or card.dataset, values["batch_size"]
    data = data_for(network, dataset, values, batch_size, {"network": card})
    name = values["run_name"] or networks_name([subject], dataset, values["model"])
    with run_folder(values["out_dir"], "evaluate", name, config) as run:
        run.say_name()
        batches = progress(data.val_batches(), "evaluating", values["quiet"])
        scores = evaluate_network(network, batches, device)
        run.summary.update(scores)
        run.facts |= {"network": network_sha256(network), "device": str(device)}
        run.facts |= {"dataset": dataset, "examples": len(data.val_labels)}
        ends = interval_text(scores["accuracy_low"], scores["accuracy_high"])
        rows = [[name, scores["n"], scores["accuracy"], ends, scores["loss"]]]
        header = ["", "n", "accuracy", "95 % interval", "loss"]
        about = (
            f"`{subject}` on the {len(data.val_labels)} held-out images of {dataset}. The interval "
            "is Wilson's, in %; the loss is cross entropy in nats."
        )
        told = untaught(scores["accuracy"], most_frequent(data.val_labels), len(data.val_labels))
        warned = [f"**Warning:** {line}." for line in told]
        table = markdown_table(rows, header, percent=["accuracy"])
        write_run_report(run, f"Evaluation of {name}", [about, *warned, table])
    shown_ = [rich_table(rows, header, percent=["accuracy"])]
    return run.path, [*shown_, *(f"warning: {line}" for line in told)]


def _stitches(values: dict[str, Any], config: str) -> tuple[Path, list[RenderableType]]:
    folder, device = Path(values["subject"]), device_of(values["accelerator"])
    kinds = [kind for kind in KINDS if kind in (values["stitch"] or KINDS)]
    changed = {name: values[name] for name in _KEPT if values[name] is not None}
    changed |= {"batch_size": values["batch_size"], "quiet": values["quiet"]}
    made = read_run(values["subject"], kinds, changed, values["other_networks"]).to(device)
    pair, options = made.pair, made.values
    dataset, cards = options["dataset"] or pair.card.dataset, {"network": pair.card}
    data = data_for(pair.receiver, dataset, options, values["batch_size"], cards)
    name = values["run_name"] or run_label(values["subject"], values["dataset"])
    measures = options["measures"]
    with run_folder(values["out_dir"], "evaluate", name, config) as run:
        run.say_name()
        controls = controls_for(options, pair, data, device, floor=values["floor"])
        scores = evaluate_stitches(
            pair.joint.sender,
            pair.joint.receiver,
            {kind: made.aligned(kind) for kind in kinds},
            progress(data.val_batches(), "evaluating", values["quiet"]),
            measures,
            device,
            controls,
            values["percentile"],
        )
        scores["accuracy/most_frequent"] = most_frequent(data.val_labels)
        run.summary.update(scores)
        run.facts |= {"device": str(device), "dataset": dataset, "examples": len(data.val_labels)}
        about = (
            f"The stitches of `{folder}` on the {len(data.val_labels)} held-out images of "
            f"{dataset}."
        )
        family, percentile = family_in_words(options), values["percentile"]
        tables = score_blocks(scores, measures, family, controls, percentile)
        warned = [f"**Warning:** {line}." for line in doubts(scores, options)]
        title, blocks = f"Evaluation of {name}", [about, *warned, *tables]
        write_run_report(run, title, blocks, cards_of(options))
    return run.path, shown(scores, measures, name, options)
