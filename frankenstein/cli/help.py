"""What `--help` prints, from the verb's plan and words, before anything slow is imported."""

import shutil
import textwrap
from collections.abc import Iterable
from math import inf
from types import NoneType
from typing import Any, get_args, get_origin

from frankenstein.catalog import MEASURES, VERBS, Question
from frankenstein.cli.words import CONFIG, Spoken
from frankenstein.runs.schema import REQUIRED, Option, alternatives, choices

_COLUMN = 26  # where the texts beside the options begin
_NAMES = 20  # to choose from, that short help lists
_HELP = ("-h, --help", "this page")
_KINDS = {int: "N", float: "X", str: "TEXT"}


def help_text(said: Spoken, program: str, whole: bool = True) -> str:
    """The page for one verb: all of its options, or those that most use."""
    first = () if whole else said.words.first
    positionals = [said.options[name] for name in said.words.positionals]
    groups: dict[str, list[Option]] = {"positionals": positionals, "options": []}
    named = [one for one in [*said.options.values(), CONFIG] if said.flags(one.name)]
    for one in named:
        if not first:
            groups.setdefault(one.group, []).append(one)
        elif one.name in first:
            groups["options"].append(one)
    width = _width()
    usage = " ".join([program, *(one.name.upper() for one in positionals), "[options]"])
    parts = [textwrap.fill(f"usage: {usage}", width, subsequent_indent=" " * 7)]
    about = f"{VERBS[said.verb].about}\n\n{textwrap.dedent(said.words.about).strip()}".strip()
    parts += [textwrap.fill(part, width) for part in about.split("\n\n")[: 1 if first else None]]
    for heading, options in groups.items():
        if options:
            most = _NAMES if first else inf
            rows = [(_invocation(said, one), _about(said, one, most)) for one in options]
            rows += [_HELP] if heading == CONFIG.group and not first else []
            rows += (
                [("--help all", f"all {len(named)} options")]
                if heading == "options" and first
                else []
            )
            parts.append(f"{heading}:\n{table(rows)}")
    examples = textwrap.dedent(said.words.examples).strip("\n")
    if examples:
        parts.append(f"examples:\n{textwrap.indent(examples, '  ')}")
    return "\n\n".join(parts) + "\n"


def measures_text() -> str:
    """Every measure with a line, by what it answers."""
    parts = []
    for question in get_args(Question):
        rows = [(name, row.about) for name, row in MEASURES.items() if row.question == question]
        parts.append(f"{question}:\n{table(rows)}")
    return "\n\n".join(parts) + "\n"


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Two columns; a long left side gets a line of its own."""
    lines = []
    for left, right in rows:
        margin = " " * _COLUMN
        text = textwrap.fill(
            right, _width(), initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
        )
        start = f"  {left}"
        fits = len(start) + 2 <= _COLUMN
        lines.append(start.ljust(_COLUMN) + text[_COLUMN:] if fits else f"{start}\n{text}")
    return "\n".join(lines)


def _width() -> int:
    return min(shutil.get_terminal_size().columns, 100) - 1


def _invocation(said: Spoken, one: Option) -> str:
    if not said.flags(one.name):
        return one.name.upper()
    if one.hint is bool:
        return ", ".join(said.shown(one.name))
    kind = "FILE" if one is CONFIG else _kind(one.hint)
    return f"{', '.join(said.flags(one.name))} {kind}"


def _kind(hint: Any) -> str:
    if get_origin(hint) is list:
        return f"{_kind(get_args(hint)[0])} ..."
    kinds = [kind for kind in alternatives(hint) if kind is not NoneType]
    if len(kinds) > 1:
        return "|".join(_kind(kind) for kind in kinds)
    words = choices(kinds[0])
    if words:
        return "|".join(words) if len(words) < 3 else "NAME"
    return _kind(kinds[0]) if kinds[0] is not hint else _KINDS.get(hint, "VALUE")


def _about(said: Spoken, one: Option, most: float = inf) -> str:
    """What an option is for, the default, and the names to choose from if they are not too many."""
    words = choices(one.hint)
    positional = not said.flags(one.name)
    names = f" {{{', '.join(words)}}}" if len(words) > 2 or (words and positional) else ""
    if len(words) > most:
        names = f" (`--{one.name}` alone lists them)"
    silent = one.default is REQUIRED or one.default is None or one.hint is bool
    value = one.default
    if isinstance(value, list):
        value = " ".join(map(str, value))
    about = said.words.abouts.get(one.name, one.off or one.about)  # help lists what can be said
    return f"{about}{names}" + ("" if silent or value == "" else f" (default: {value})")
