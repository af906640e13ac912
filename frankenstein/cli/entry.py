"""The door of the command line: finds the verb, parses, runs, and turns the outcome into a code."""

import shlex
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from frankenstein import __doc__ as about
from frankenstein import __version__
from frankenstein.buffers import keep_buffers
from frankenstein.cli.errors import Outcome, UsageError, one_line
from frankenstein.cli.help import help_text, table
from frankenstein.errors import AlreadyDone, did_you_mean
from frankenstein.runs.schema import read_schema
from frankenstein.signals import signals_raise

VERBS = {
    "demo": "frankenstein.cli.verbs.demo:demo",
    "train": "frankenstein.cli.verbs.train:train",
    "stitch": "frankenstein.cli.verbs.stitch:stitch",
    "evaluate": "frankenstein.cli.verbs.evaluate:evaluate",
    "compare": "frankenstein.cli.verbs.compare:compare",
    "analyze": "frankenstein.cli.verbs.analyze:analyze",
    "study": "frankenstein.cli.verbs.study:study",
    "layers": "frankenstein.cli.verbs.layers:layers",
    "report": "frankenstein.cli.verbs.report:report",
}


def main(argv: Sequence[str] | None = None, verb: str | None = None) -> int:
    """Run `frankenstein VERB ...`, or the one verb of a script; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    program = f"python {verb}.py"
    if verb is None:
        with one_line("frankenstein", "frankenstein") as outcome:
            verb = _verb(words.pop(0) if words else "--help")
        if verb is None:
            return outcome.code
        program = f"frankenstein {verb}"
    with one_line(f"frankenstein {verb}", program) as outcome, signals_raise():
        outcome.code = _run(verb_function(verb), words, program, outcome)
    return outcome.code


def verb_function(verb: str) -> Callable[..., Any]:
    """The function that a verb of VERBS runs, which is also its schema."""
    module, name = VERBS[verb].split(":")
    return getattr(import_module(module), name)


def _verb(word: str) -> str | None:
    """The verb that a first word names; None if the word asked for something that was printed."""
    if word in VERBS:
        return word
    if word in ("-h", "--help"):
        _print(_overview())
    elif word == "--version":
        _print(f"frankenstein {__version__}\n")
    else:
        raise UsageError(
            f"unknown verb {word!r}; known: {', '.join(VERBS)}{did_you_mean(word, VERBS)}"
        )
    return None


def _run(verb: Callable[..., Any], words: list[str], program: str, outcome: Outcome) -> int:
    schema = read_schema(verb)
    if "resume" in schema.options:
        words_again = [word for word in words if word != "--resume"]
        outcome.again = f"{program} {shlex.join(words_again)} --resume"
    if "-h" in words or "--help" in words:
        _print(help_text(schema, program))
        return 0
    # Only here, because importing jsonargparse takes longer than all of --help.
    from frankenstein.cli.parser import parse

    values = parse(schema, words)
    keep_buffers()
    positional = [values.pop(name) for name, option in schema.options.items() if not option.flags]
    try:
        result = verb(*positional, **values)
    except AlreadyDone as done:
        from frankenstein.cli.print_result import tell

        result = tell(done.folder, values["quiet"], str(done))
    return result if isinstance(result, int) else 0


def _overview() -> str:
    rows = [(verb, (verb_function(verb).__doc__ or "").partition("\n")[0]) for verb in VERBS]
    question = (about or "").partition("\n")[0]
    return (
        "usage: frankenstein VERB ...\n\n"
        f"{question}\n\nverbs:\n{table(rows)}\n\n"
        "`frankenstein VERB --help` says more; `frankenstein --version` says which this is\n"
    )


def _print(text: str) -> None:
    sys.stdout.write(text)
