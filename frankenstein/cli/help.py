"""What `--help` prints: all of it from the verb's function, before anything slow is imported."""

import shutil
import textwrap
from collections.abc import Iterable
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from frankenstein.runs.schema import CONFIG, REQUIRED, Option, Schema, alternatives, choices

_COLUMN = 26  # where the texts beside the options begin
_HELP = ("-h, --help", "this page")
_KINDS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


def help_text(schema: Schema, program: str) -> str:
    """The page for one verb."""
    positionals = [option for option in schema.options.values() if not option.flags]
    groups: dict[str, list[Option]] = {"positionals": positionals, "options": []}
    for option in [*schema.options.values(), CONFIG]:
        if option.flags:
            groups.setdefault(option.heading, []).append(option)
    width = _width()
    usage = " ".join([program, *(option.name.upper() for option in positionals), "[options]"])
    parts = [textwrap.fill(f"usage: {usage}", width, subsequent_indent=" " * 7)]
    parts += [textwrap.fill(part, width) for part in schema.about.split("\n\n")]
    for heading, options in groups.items():
        if options:
            rows = [(_invocation(option), _about(option)) for option in options]
            rows += [_HELP] if heading == CONFIG.heading else []
            parts.append(f"{heading}:\n{table(rows)}")
    if schema.examples:
        parts.append(f"examples:\n{textwrap.indent(schema.examples, '  ')}")
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


def _invocation(option: Option) -> str:
    if not option.flags:
        return option.name.upper()
    if option.hint is bool:
        return ", ".join(option.shown)
    kind = "FILE" if option is CONFIG else _kind(option.hint)
    return f"{', '.join(option.flags)} {kind}"


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


def _about(option: Option) -> str:
    """The text of the docstring, the names to choose from and the default."""
    words = choices(option.hint)
    names = f" {{{', '.join(words)}}}" if len(words) > 2 or (words and not option.flags) else ""
    silent = option.default is REQUIRED or option.default is None or option.hint is bool
    value = option.default
    if isinstance(value, (list, tuple)):
        value = " ".join(map(str, value))
    return f"{option.about}{names}" + ("" if silent or value == "" else f" (default: {value})")
