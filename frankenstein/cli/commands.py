"""Plans as command lines, and back: what pages show, steps of a study, and what is printed last."""

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frankenstein.catalog import VERBS
from frankenstein.cli.errors import UsageError
from frankenstein.cli.parser import parse
from frankenstein.cli.words import spoken
from frankenstein.errors import PlanError, did_you_mean
from frankenstein.records import cut
from frankenstein.runs.plan import Command, Plan, check_code

if TYPE_CHECKING:
    from rich.console import Console

    from frankenstein.runs.run import Run

_STUDY = "{study}"  # in a step: the folder of its study


def command_of(plan: Plan) -> Command:
    """The command line that says a plan, without what is as by default."""
    said, replay = spoken(plan.verb), f"frankenstein {plan.verb} --config {{config}}"
    try:
        check_code(type(plan), plan.values(), "", allowed=False)
    except PlanError:
        replay += " --allow-code"
    positionals: dict[str, list[str]] = {name: [] for name in said.words.positionals}
    flags: list[str] = []
    only_yaml = False  # steps of a study that are no command lines
    for name, one in said.options.items():
        value = getattr(plan, name)
        if value == one.default or value is None or value == []:
            continue
        parts = value if isinstance(value, list) else [value]
        only_yaml |= any(isinstance(part, dict) for part in parts)
        values = [str(part) for part in parts]
        own = said.flags(name)
        if not own:
            positionals[name] = values
        elif one.hint is bool:
            flags.append(own[-1] if value else f"--no-{own[-1][2:]}")
        else:
            flags += [own[-1], *values]
    words = [word for values in positionals.values() for word in values]
    line = "" if only_yaml else shlex.join(["frankenstein", plan.verb, *words, *flags])
    return Command(line, replay, f"{replay} --resume", "console", command_of, read_step, _show)


def print_result(folder: Path, quiet: bool, shown: Iterable[Any]) -> None:
    """What a verb prints last: tables, the report, TensorBoard's line; or only the folder."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return  # one process of several speaks for all
    if quiet:
        sys.stdout.write(f"{folder}\n")
        return
    console = _print(shown)
    if (folder / "report.html").exists():
        console.out(f"report:     {folder / 'report.html'}", highlight=False)
    if any(folder.rglob("events.out.tfevents.*")):
        console.out(f"look at it: tensorboard --logdir {folder}", highlight=False)


def shown_of(run: "Run") -> list[Any]:
    """What a terminal shows of a run: doubts, then what was found, without marks of code."""
    from rich.text import Text  # only here, as in `_print`

    from frankenstein.report.worded import shown_worded

    shown = (shown_worded(one, run.called) for one in run.shown)
    doubts = (shown_worded(f"warning: {line}", run.called) for line in run.doubts)
    return [*doubts, *([Text(run.finding.replace("`", ""))] if run.finding else []), *shown]


def _show(run: "Run") -> None:
    """Of a step; the report that leads to it, and TensorBoard's line, are the study's."""
    _print(shown_of(run))


def _print(shown: Iterable[Any]) -> "Console":
    # Only here, because rich takes longer to import than all of --help.
    from rich.console import Console

    console = Console(markup=False, emoji=False)  # `own.py:four:` is a name
    for one in shown:
        console.print(one, soft_wrap=isinstance(one, str))  # a line stays one line
    return console


def read_step(line: str, study: str) -> Plan:
    """The plan that a step of a study stands for, in the study's folder.

    Raises:
        UsageError: if it is no command line of a verb that makes runs.
    """
    said, words = check_step(line)
    values = parse(spoken(said), [word.replace(_STUDY, study) for word in words])
    return VERBS[said].target(**spoken(said).words.sort(values))


def check_step(line: str) -> tuple[str, list[str]]:
    """The verb and the words of a step, before anything that it names is there.

    Raises:
        UsageError: as `read_step`.
    """
    try:
        verb, *words = shlex.split(line) or [""]
    except ValueError as error:
        raise UsageError(f"step {_named(line)} is no command line: {error}") from None
    known = [name for name, row in VERBS.items() if row.is_step]
    if verb not in known:
        raise UsageError(
            f"step {_named(line)} begins with no verb that makes runs; known: {', '.join(known)}"
            + did_you_mean(verb, known)
        )
    if {"-h", "--help"} & {*words}:
        raise UsageError(f"step {_named(line)} asks for help, and makes no run; leave that out")
    said = spoken(verb)
    try:
        values = parse(said, words)
    except (UsageError, PlanError) as error:
        raise UsageError(f"step {_named(line)}: {error.spelled(said.spelling)}") from None
    if values["out_dir"] != said.options["out_dir"].default:
        raise UsageError(f"step {_named(line)} writes into the study's folder; leave out --out-dir")
    return verb, words


def _named(step: str) -> str:
    """A step in a message: most are told apart by far fewer letters."""
    return cut(repr(step), 300)
