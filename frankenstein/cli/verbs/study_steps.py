"""The steps of a study, read and checked before torch is imported."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frankenstein.cli.entry import VERBS, verb_function
from frankenstein.cli.errors import UsageError
from frankenstein.cli.parser import parse
from frankenstein.errors import did_you_mean
from frankenstein.runs.schema import read_schema

FOLDER = "{study}"  # in a step: the folder of its study


@dataclass(frozen=True)
class Step:
    """A verb and its words."""

    verb: Callable[..., Any]
    words: tuple[str, ...]

    def values(self) -> dict[str, Any]:
        """The verb's parameters as these words have them.

        Raises:
            UsageError: if the words do not say what the verb can do.
        """
        return parse(read_schema(self.verb), self.words)


def read_step(line: str) -> Step:
    """The step that a command line, without `frankenstein`, stands for.

    Raises:
        UsageError: if it is none.
    """
    try:
        verb, *words = shlex.split(line) or [""]
    except ValueError as error:
        raise UsageError(f"step {line!r} is no command line: {error}") from None
    known = [name for name in VERBS if "out_dir" in read_schema(verb_function(name)).options]
    known = [name for name in known if name not in ("demo", "study")]
    if verb not in known:
        raise UsageError(
            f"step {line!r} begins with no verb that makes runs; known: {', '.join(known)}"
            + did_you_mean(verb, known)
        )
    step = Step(verb_function(verb), tuple(words))
    try:
        own = step.values()["out_dir"]
    except UsageError as error:
        raise UsageError(f"step {line!r}: {error}") from None
    if own != read_schema(step.verb).options["out_dir"].default:
        raise UsageError(f"step {line!r} writes into the study's folder; leave out --out-dir")
    return step
