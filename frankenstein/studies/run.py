"""One study: its steps are checked, run one after the other, and told of on one page."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from frankenstein.cli.verbs.study_steps import FOLDER, Step
from frankenstein.errors import AlreadyDone
from frankenstein.files import write_whole
from frankenstein.report import markdown_table
from frankenstein.runs.folder import RunFolder, claim_folder
from frankenstein.runs.page import write_run_report
from frankenstein.runs.schema import read_schema

_SHARED = ("data_root", "accelerator", "quiet")  # the study's own, for every step
_FEW = 12  # numbers that a step has on the page: all, or its accuracies, or none


def run_study(values: Mapping[str, Any], steps: Sequence[Step], config: str) -> Path:
    """Run `frankenstein study` with these values, whose steps were read; returns its folder.

    A step that fails ends the study; what was done before it stays.
    """
    folder = claim_folder(Path(values["out_dir"]) / "study", values["run_name"])
    write_whole(folder / "config.yaml", config)
    done: list[tuple[str, Path]] = []
    for line, step in zip(values["steps"], steps, strict=True):
        done.append((line, _run(step, folder, values)))
    summary = {
        f"{run.relative_to(folder).as_posix()}/{name}": number
        for _, run in done
        for name, number in _summary(run).items()
    }
    write_whole(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    run = RunFolder(folder, True, "study", dict(values), {})
    write_run_report(run, f"Study: {folder.name}", _page(folder, done))
    return folder


def _run(step: Step, folder: Path, shared: Mapping[str, Any]) -> Path:
    words = tuple(word.replace(FOLDER, str(folder)) for word in step.words)
    options = Step(step.verb, words).values() | {"out_dir": str(folder)}
    for name in _SHARED:
        if name in options and shared[name] not in (None, "auto", False):
            options[name] = shared[name]
    schema = read_schema(step.verb)
    positional = [options.pop(name) for name, one in schema.options.items() if not one.flags]
    with redirect_stdout(StringIO()) if shared["quiet"] else nullcontext():
        try:
            return Path(step.verb(*positional, **options))
        except AlreadyDone as done:
            return done.folder


def _page(folder: Path, done: Sequence[tuple[str, Path]]) -> list[str]:
    blocks = [f"{len(done)} steps, each with a report of its own; *{FOLDER}* is this folder."]
    for line, run in done:
        place = run.relative_to(folder).as_posix()
        blocks += [f"## {place}", f"```console\nfrankenstein {line}\n```"]
        reports = [name for name in ("report.md", "report.html") if (run / name).is_file()]
        links = " and ".join(f"[{place}/{name}]({place}/{name})" for name in reports)
        summary = _summary(run)
        few = {name: value for name, value in summary.items() if name.startswith("accuracy/")}
        few = summary if len(summary) <= _FEW else few
        if 0 < len(few) <= _FEW:
            blocks.append(markdown_table([*few.items()], ["", "value"]))
        if len(summary) > len(few):
            links += f", and {len(summary)} numbers in `{place}/summary.json`"
        if links:
            blocks.append(f"See {links}.")
    return blocks


def _summary(run: Path) -> dict[str, float | None]:
    file = run / "summary.json"
    return json.loads(file.read_text()) if file.is_file() else {}
