"""One run of `analyze`, from two files to a folder with the answers to all questions asked."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib.image import imread
from rich.console import RenderableType
from torch.utils.tensorboard import SummaryWriter

from frankenstein.errors import UserError
from frankenstein.networks.accuracy import accuracies, accuracy_line
from frankenstein.networks.checks import at_least, check_data
from frankenstein.networks.label_checks import check_labels
from frankenstein.questions.subject import Study, make_study
from frankenstein.questions.table import QUESTIONS
from frankenstein.report import Picture, Section, short_view
from frankenstein.runs.folder import RunFolder, run_folder
from frankenstein.runs.names import networks_name
from frankenstein.runs.page import write_run_report
from frankenstein.zoo import network_sha256


def run_analyze(
    values: dict[str, Any], asked: Sequence[str], config: str
) -> tuple[Path, bool, *tuple[RenderableType, ...]]:
    """Run `frankenstein analyze`; returns its folder, whether quiet, and what to show."""
    at_least(batch_size=(values["batch_size"], 1), examples=(values["examples"], 2))
    at_least(seed=(values["seed"], 0), k=(values["k"], 1), steps=(values["steps"], 1))
    at_least(
        features=(1 if values["features"] is None else values["features"], 1),
        l1=(values["l1"] or 0, 0),
    )
    if not -1 <= (values["threshold"] or 0) <= 1:
        raise UserError(f"--threshold is a similarity, from -1 to 1, got {values['threshold']}")
    rows = [QUESTIONS[name] for name in asked]
    study = make_study(
        values, any(row.of_layers for row in rows), any(row.reads_untrained for row in rows)
    )
    if study.dataset and any(row.scores_answers for row in rows):
        check_labels(study.dataset, values["data_root"], study.cards)
    if any(row.trains for row in rows):
        check_data(study.data, values["quiet"])
    sides = (values["sender"], values["receiver"])
    name = values["run_name"] or networks_name(sides, study.dataset, values["model"], "-vs-")
    with run_folder(values["out_dir"], "analyze", name, config) as run:
        for question in asked:
            if watch := QUESTIONS[question].watch:
                module, watcher = watch.split(":")
                study.watchers[question] = getattr(import_module(module), watcher)(study)
        sections = {question: _named(question, QUESTIONS[question](study)) for question in asked}
        for question, section in sections.items():
            run.summary |= {f"{question}/{key}": value for key, value in section.scores.items()}
            for file, save in section.saves.items():
                save(run.path / file)
        shown: list[RenderableType] = []
        if any(row.reads_data for row in rows):
            device, examples = study.device, study.batches("val").examples
            run.facts |= {"dataset": study.dataset, "examples": examples}
            found = accuracies(study.trained, run.cards, study.data, device, study.quiet, examples)
            run.summary |= found
            shown.append(accuracy_line(found, examples, study.dataset))
        _write(run, f"Analysis: {name}", study, sections)
        run.facts["networks"] = {
            whose: network_sha256(network) for whose, network in study.trained.items()
        }
        run.facts |= {"device": str(study.device), "questions": list(asked)}
        run.facts |= {"layers": [list(pair) for pair in study.pairs]}
    shown += [short_view(one.title, one.short) for one in sections.values() if one.short]
    said = "of every layer: the report explains them, summary.json lists them"
    shown.append(f"{len(run.summary)} numbers {said}")
    return run.path, values["quiet"], *shown


def _named(question: str, section: Section) -> Section:
    """The section with its pictures' names made its own: two questions may draw a `units`."""
    blocks = tuple(
        replace(block, name=f"{question}-{block.name}") if isinstance(block, Picture) else block
        for block in section.blocks
    )
    return replace(section, blocks=blocks)


def _write(run: RunFolder, title: str, study: Study, sections: dict[str, Section]) -> None:
    """The report, and its figures and numbers on TensorBoard's page."""
    blocks: list[str | Picture] = [*_about(study)]
    for section in sections.values():
        blocks += [f"## {section.title}", *section.blocks]
    blocks.append("Every number is in `summary.json`.")
    write_run_report(run, title, blocks)
    with SummaryWriter(str(run.path)) as writer:
        for question, section in sections.items():
            for key, value in section.scores.items():
                writer.add_scalar(f"{question}/{key}", value)
            for block in section.blocks:
                if isinstance(block, Picture):  # as it lies there: to draw it again takes longer
                    drawn = imread(run.path / "figures" / f"{block.name}.png")
                    writer.add_image(f"{question}/{block.name}", drawn, dataformats="HWC")


def _about(study: Study) -> list[str]:
    """What is asked of what."""
    layers = ", ".join(
        f"`{one}`" if one == other else f"`{one}` with `{other}`" for one, other in study.pairs
    )
    asked = "Questions about two networks, layer by layer"
    return [f"{asked}: {layers}." if layers else "Questions about two networks."]
