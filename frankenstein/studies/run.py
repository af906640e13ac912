"""One study: a graph, or steps that are run one after the other, and told of on one page."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import Any
from urllib.parse import quote

from rich.console import Console

from frankenstein.catalog import VERBS
from frankenstein.errors import AlreadyDone, PlanError, counted, did_you_mean
from frankenstein.records import cut, shown
from frankenstein.report.tables import code, fenced, markdown_table, plain
from frankenstein.runs.page import write_page
from frankenstein.runs.plan import Command, Plan
from frankenstein.runs.run import Run
from frankenstein.runs.schema import REQUIRED, options_of, read_words
from frankenstein.studies.folder import begin
from frankenstein.studies.graph_run import run_graph
from frankenstein.studies.members import check_there
from frankenstein.studies.plan import DemoPlan, StudyPlan

_FOLDER = "{study}"  # in a step: the folder of its study
_SHARED = ("data_root", "accelerator", "quiet")  # the study's own, for every step
_FEW = 12  # numbers that a step has on the page: all, or its accuracies, or none


def run_study(plan: StudyPlan, command: Command) -> Run | None:
    """Run the plan of `study`; None of a dry run.

    A step that fails ends a list of steps, and a graph goes on without what waits for it; what was
    done before stays.
    """
    if plan.networks is not None:
        return run_graph(plan, command)
    for step in plan.steps:
        _check(step, command)  # all are checked before the first one runs
    if plan.dry_run:
        Console().print(*map(_line, plan.steps), sep="\n", soft_wrap=True, highlight=False)
        return None
    with begin(plan, plan.run_name or "study", command) as study:
        done = [run_step(step, study, plan) for step in plan.steps]
        study.numbers |= {
            f"{run.folder.relative_to(study.folder).as_posix()}/{name}": number
            for run in done
            for name, number in run.numbers.items()
        }
        study.finding = next((run.finding for run in reversed(done) if run.finding), "")
        write_page(study, f"Study: {study.name}", _page(study, plan.steps, done))
    return study


def run_step(step: str | Mapping[str, Any], study: Run, shared: StudyPlan | DemoPlan) -> Run:
    """Run a step into the folder of its study; what the study says for all, it says for this."""
    plan = plan_of_step(step, str(study.folder), study.command)
    changed: dict[str, Any] = {"out_dir": str(study.folder)}
    for name in _SHARED:
        value = getattr(shared, name, None)
        if name in options_of(type(plan)) and value not in (None, "auto", False):
            changed[name] = value
    plan = replace(plan, **changed)
    command = study.command.of(plan) if study.command.of else Command()
    command = replace(command, goes_on="step")
    with redirect_stdout(StringIO()) if shared.quiet else nullcontext():
        try:
            run = plan.run(command)
        except AlreadyDone as done:
            run = replace(Run.read(done.folder), command=command)
    if command.show and not shared.quiet:
        # What is shown is read once the study has its name.
        said = [
            one.replace(str(study.folder), str(study.final)) if isinstance(one, str) else one
            for one in run.shown
        ]
        command.show(replace(run, shown=said))
    return run


def plan_of_step(step: str | Mapping[str, Any], folder: str, command: Command) -> Plan:
    """The plan that a step stands for, in the folder of its study.

    Raises:
        PlanError: if it is none.
    """
    if isinstance(step, str):
        return command.read(step, folder)
    verb, values = _values(step, folder)
    return VERBS[verb].target(**values)


def _check(step: str | Mapping[str, Any], command: Command) -> None:
    """Refuse a step that is none, or that names a file of a network that is not there.

    What lies in the study's folder is made by the steps before.
    """
    if not isinstance(step, str):
        _values(step, _FOLDER)
    plan = plan_of_step(step, _FOLDER, command)
    for name, one in options_of(type(plan)).items():
        value = getattr(plan, name) if one.source else None
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str) and not word.startswith(f"{_FOLDER}/"):
                check_there(word)


def _line(step: str | Mapping[str, Any]) -> str:
    return f"frankenstein {step}" if isinstance(step, str) else json.dumps(step)


def _values(step: Mapping[str, Any], folder: str) -> tuple[str, dict[str, Any]]:
    """The verb of a step and its fields, checked one by one.

    Raises:
        PlanError: if the verb makes no runs, has no such field, one is missing, or the step names a
            folder.
    """
    if len(step) > 1:
        raise PlanError(f"a step has one verb, got {cut(', '.join(map(str, step)))}")
    verb = str(next(iter(step), ""))
    known = [name for name, row in VERBS.items() if row.is_step]
    if verb not in known:
        near = did_you_mean(verb, known)
        raise PlanError(
            f"step {shown(verb)} is no verb that makes runs; known: {', '.join(known)}{near}"
        )
    options, given = options_of(VERBS[verb].target), step[verb] or {}
    if not isinstance(given, Mapping):
        raise PlanError(f"step {verb} takes {{field: value}}, got {shown(given)}")
    for name in given:
        if name not in options:
            near = did_you_mean(str(name), options)
            raise PlanError(f"step {verb} has no field {cut(str(name))}{near}")
    if "out_dir" in given:
        raise PlanError(f"step {verb} writes into the study's folder; leave out_dir out")
    for name, one in options.items():
        if one.default is REQUIRED and name not in given:
            raise PlanError(f"step {verb} does not say {name}; add `{name}: ...`")
    return verb, {
        name: read_words(options[name], _placed(value, folder), f"{name} of step {verb}")
        for name, value in given.items()
    }


def _placed(value: Any, folder: str) -> Any:
    if isinstance(value, list):
        return [_placed(one, folder) for one in value]
    return value.replace(_FOLDER, folder) if isinstance(value, str) else value


def _page(study: Run, steps: Sequence[Any], done: Sequence[Run]) -> list[str]:
    blocks = [
        f"{counted(len(done), 'step')}, each with a report of its own; *{_FOLDER}* is this folder."
    ]
    for step, run in zip(steps, done, strict=True):
        place = run.folder.relative_to(study.folder).as_posix()
        line = f"frankenstein {step}" if isinstance(step, str) else run.command.line
        blocks += [f"## {plain(place)}", *([fenced(line, "console")] if line else [])]
        reports = [name for name in ("report.md", "report.html") if (run.folder / name).is_file()]
        links = " and ".join(f"[{plain(place)}/{name}]({quote(place)}/{name})" for name in reports)
        blocks += [run.finding] if run.finding else []
        few = {name: one for name, one in run.numbers.items() if name.startswith("accuracy/")}
        few = run.numbers if len(run.numbers) <= _FEW else few
        if 0 < len(few) <= _FEW:
            blocks.append(markdown_table([*few.items()], ["", "value"]))
        if len(run.numbers) > len(few):
            links += f", and {len(run.numbers)} numbers in {code(f'{place}/summary.json')}"
        if links:
            blocks.append(f"See {links}.")
    return blocks
