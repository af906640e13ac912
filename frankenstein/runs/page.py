"""What every run's report has around the verb's own blocks: what was asked, of what, how again."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from frankenstein.cli.entry import VERBS, verb_function
from frankenstein.networks.doubts import unlearned
from frankenstein.report import Picture, markdown_table, write_report
from frankenstein.runs.config import dump
from frankenstein.runs.folder import RunFolder
from frankenstein.runs.schema import read_schema

_HEADER = ("", "network", "trained on", "epochs", "init seed", "order seed", "sha256", "file")


def write_run_report(
    run: RunFolder,
    title: str,
    blocks: Sequence[str | Picture],
    cards: Mapping[str, Mapping[str, Any]] | None = None,  # as of `cards_of`; the run's if absent
) -> Path:
    """Write a run's report, as `write_report` does, from the blocks that are the verb's own.

    The first of them says what the run does. Behind it come the command and the networks, and at
    the end the warnings that Python raised and how to run it again. How often a network is right
    is taken from `run.summary`, where it has "accuracy/sender" and so on.
    """
    first, *others = blocks
    around = [
        first,
        *_asked(run, run.cards if cards is None else cards),
        *others,
        *_warned(run.warnings),
        *_again(run),
    ]
    return write_report(run.path, title, around)


def command_of(verb: Callable[..., Any], options: Mapping[str, Any]) -> str:
    """The command line that says these options; what is as by default is left out.

    So is what only YAML can say: nothing (null, an empty list) where the default is something.
    """
    words, flags = [], []
    for name, option in read_schema(verb).options.items():
        value = options[name]
        if value == option.default or value is None or value == []:
            continue
        values = [str(part) for part in (value if isinstance(value, list | tuple) else [value])]
        if not option.flags:
            words += values
        elif option.hint is bool:
            flags.append(option.flags[-1] if value else f"--no-{option.flags[-1][2:]}")
        else:
            flags += [option.flags[-1], *values]
    return shlex.join(["frankenstein", verb.__name__, *words, *flags])


def network_table(cards: Mapping[str, Mapping[str, Any]], scores: Mapping[str, float]) -> str:
    """Every network in a row: what it is, from which seeds, and how well it does if that is known.

    `cards` are those of `cards_of`; `scores` may have "accuracy/sender" and so on.
    """
    known = [f"accuracy/{whose}" in scores for whose in cards]
    header = list(_HEADER)
    rows = [
        [
            whose,
            card["architecture"],
            card["dataset"],
            card["epochs"],
            card["init_seed"],
            card["order_seed"],
            f"`{card['sha256'][:12]}`",
            f"`{card['file']}`",
        ]
        for whose, card in cards.items()
    ]
    if any(known):
        header.insert(6, "accuracy")
        for row in rows:
            row.insert(6, scores.get(f"accuracy/{row[0]}"))
    return markdown_table(rows, header, percent=["accuracy"])


def _asked(run: RunFolder, cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    blocks = []
    if run.verb in VERBS:
        blocks.append(_code(command_of(verb_function(run.verb), run.options), "console"))
    if cards:
        blocks.append(network_table(cards, run.summary))
    if any(f"accuracy/{whose}" in run.summary for whose in cards):
        images = "held-out images"
        if {"examples", "dataset"} <= set(run.facts):
            images = f"{run.facts['examples']} held-out images of {run.facts['dataset']}"
        blocks.append(f"The networks' own accuracy was measured by this run, on {images}.")
    if "examples" in run.facts:
        told = unlearned(run.summary, run.facts["examples"])
        blocks += [f"**Warning:** {line}." for line in told]
    return blocks


def _warned(warnings: Sequence[str]) -> list[str]:
    return ["## Warnings", "\n".join(f"- {text}" for text in warnings)] if warnings else []


def _again(run: RunFolder) -> list[str]:
    if run.verb not in VERBS:
        return []
    folder, title, more = run.final, "## How to run it again", ""
    if run.unfinished:
        folder, title, more = run.path, "## How to go on with it", " --resume"
    where = shlex.quote(str(folder / "config.yaml"))
    return [
        title,
        _code(f"frankenstein {run.verb} --config {where}{more}", "console"),
        "In the folder where it was run, for paths are relative to that. The whole `config.yaml`:",
        _code(dump(verb_function(run.verb), run.options), "yaml"),
    ]


def _code(text: str, language: str) -> str:
    return f"```{language}\n{text.strip()}\n```"
