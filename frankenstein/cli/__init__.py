"""What `frankenstein VERB` and the three scripts run; nothing heavy is imported before parsing."""

import shlex
import sys
from collections.abc import Sequence

import frankenstein
from frankenstein import __doc__ as question
from frankenstein.buffers import keep_buffers
from frankenstein.catalog import VERBS
from frankenstein.cli.commands import command_of, print_result, shown_of
from frankenstein.cli.errors import Outcome, UsageError, one_line, plain_warnings, say
from frankenstein.cli.help import help_text, measures_text, table
from frankenstein.cli.parser import parse
from frankenstein.cli.words import Spoken, spoken
from frankenstein.errors import AlreadyDone, did_you_mean
from frankenstein.printing import printing
from frankenstein.signals import signals_raise

__all__ = ["main"]


def main(argv: Sequence[str] | None = None, verb: str | None = None) -> int:
    """Run `frankenstein VERB ...`, or the one verb of a script; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    with printing() as out, plain_warnings():
        name, outcome = _main(words, verb)
        out.flush()
        # Who reads the beginning of --help only, as `| head` does, knows that there is more.
        known = outcome.folder is None and isinstance(out.lost, BrokenPipeError)
        if out.lost and not outcome.code and not known:
            why = getattr(out.lost, "strerror", None) or out.lost
            more = f"; see {outcome.folder}" if outcome.folder else ""
            say(f"{name}: done, and not all of it shown, for stdout is gone ({why}){more}")
    return outcome.code


def _main(words: list[str], verb: str | None) -> tuple[str, Outcome]:
    program = f"python {verb}.py"
    if verb is None:
        with one_line("frankenstein", "frankenstein") as outcome:
            verb = _verb(words.pop(0) if words else "--help")
        if verb is None:
            return "frankenstein", outcome
        program = f"frankenstein {verb}"
    with one_line(f"frankenstein {verb}", program) as outcome, signals_raise():
        said = spoken(verb)
        outcome.spelling = said.spelling
        _run(said, words, program, outcome)
    return f"frankenstein {verb}", outcome


def _verb(word: str) -> str | None:
    """The verb that a first word names; None if the word asked for something that was printed."""
    if word in VERBS:
        return word
    if word in ("-h", "--help"):
        sys.stdout.write(_overview())
    elif word == "--version":
        sys.stdout.write(f"frankenstein {frankenstein.__version__}\n")
    else:
        raise UsageError(
            f"unknown verb {word!r}; known: {', '.join(VERBS)}{did_you_mean(word, VERBS)}"
        )
    return None


def _run(said: Spoken, words: list[str], program: str, outcome: Outcome) -> None:
    if "resume" in said.options:
        words_again = [word for word in words if word != "--resume"]
        outcome.again = lambda kept: f"{program} {shlex.join(words_again)} --resume"
    if asked := {"-h", "--help"} & {*words}:
        whole = "all" in words[words.index(asked.pop()) + 1 :]
        sys.stdout.write(help_text(said, program, whole))
        return
    if "measures" in said.options and words == ["--measures"]:
        sys.stdout.write(measures_text())
        return
    plan = said.plan(**said.words.sort(parse(said, words)))
    command = command_of(plan)
    if said.words.goes_on:  # with the plan that it has kept, whose line may be long
        outcome.again = lambda kept: command.replay.format(
            config=shlex.quote(str(kept / "config.yaml"))
        )
    keep_buffers()
    quiet = getattr(plan, "quiet", False)
    try:
        run = plan.run(command)
    except AlreadyDone as done:
        folder, shown = done.folder, [str(done)]
    else:
        if run is None:  # a verb that writes nothing
            return
        folder, shown = run.folder, shown_of(run)
    outcome.folder = folder
    print_result(folder, quiet, shown)


def _overview() -> str:
    rows = [(verb, row.about) for verb, row in VERBS.items()]
    return (
        "usage: frankenstein VERB ...\n\n"
        f"{(question or '').partition(chr(10))[0]}\n\nverbs:\n{table(rows)}\n\n"
        "`frankenstein VERB --help` says more, `frankenstein --version` which this is\n"
    )
