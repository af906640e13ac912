"""How a verb is said on the command line: its text, its positionals, its short flags."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from frankenstein.catalog import VERBS
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import Option, options_of

CONFIG = Option(
    "config", str, None, "YAML file of values; options win", "", "options", None, "nothing"
)

# Short flags that mean the same wherever the field is.
_FLAGS = {
    "dataset": "-d",
    "epochs": "-e",
    "batch_size": "-b",
    "lr": "-lr",
    "weight_decay": "-wd",
    "optimizer": "-opt",
    "save_frequency": "-s",
    "out_dir": "-o",
    "examples": "-n",
}


@dataclass(frozen=True)
class Words:
    """What a verb's file in `cli.verbs` states."""

    about: str  # paragraphs of --help, behind the line of the table of verbs
    examples: str
    positionals: tuple[str, ...] = ()  # fields that come without a flag, in order
    flags: Mapping[str, str] = field(default_factory=dict)  # one more for a field, of this verb
    abouts: Mapping[str, str] = field(default_factory=dict)  # texts that suit this verb better
    first: tuple[str, ...] = ()  # fields that most use, if `--help` leaves others to `--help all`
    goes_on: bool = False  # whether the same line goes on with what an interruption has left
    sort: Callable[[dict[str, Any]], dict[str, Any]] = dict  # values as typed -> fields of the plan


@dataclass(frozen=True)
class Spoken:
    """A verb with its plan's fields and its words."""

    verb: str
    words: Words

    @property
    def plan(self) -> type[Plan]:
        """The class of its plan."""
        return VERBS[self.verb].target

    @property
    def options(self) -> Mapping[str, Option]:
        """The fields of its plan."""
        return options_of(self.plan)

    def flags(self, name: str) -> tuple[str, ...]:
        """How a field is typed, the long way last; nothing for a positional."""
        if name in self.words.positionals:
            return ()
        short = self.words.flags.get(name, _FLAGS.get(name))
        return (*([short] if short else []), f"--{name.replace('_', '-')}")

    def shown(self, name: str) -> tuple[str, ...]:
        """The flags that help lists: those that change something."""
        one, flags = self.options.get(name, CONFIG), self.flags(name)
        on = one.hint is bool and one.default is True
        return (f"--no-{flags[-1][2:]}",) if on and flags else flags

    def spelling(self, name: str) -> str:
        """How a message names a field, of this verb or another."""
        return name.upper() if name in self.words.positionals else self.shown(name)[-1]


def spoken(verb: str) -> Spoken:
    """A verb of the table as the command line says it."""
    return Spoken(verb, import_module(f"frankenstein.cli.verbs.{verb}").WORDS)
