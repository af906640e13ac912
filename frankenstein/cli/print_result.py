"""What a verb prints last: what a person wants to see, or the folder alone for a script."""

import os
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, RenderableType


def print_result(folder: Path, quiet: bool, shown: Iterable[RenderableType]) -> None:
    """Print tables, the report and the line that opens TensorBoard; or only the folder."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return  # one process of several speaks for all
    console = Console()
    if quiet:
        console.out(folder, highlight=False)
        return
    for one in shown:
        console.print(one, soft_wrap=isinstance(one, str))  # a line stays one line
    if (folder / "report.md").exists():
        console.out(f"report:     {folder / 'report.md'}", highlight=False)
    if any(folder.rglob("events.out.tfevents.*")):
        console.out(f"look at it: tensorboard --logdir {folder}", highlight=False)
