"""What a verb prints last: what a person wants to see, or the folder alone for a script."""

import os
from pathlib import Path

from rich.console import Console, RenderableType


def tell(folder: Path, quiet: bool, *shown: RenderableType) -> Path:
    """Print tables, the report and the line that opens TensorBoard; or only the folder."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return folder  # one process of several speaks for all
    console = Console()
    if quiet:
        console.out(folder, highlight=False)
        return folder
    for one in shown:
        console.print(one, soft_wrap=isinstance(one, str))  # a line stays one line
    if (folder / "report.md").exists():
        console.out(f"report:     {folder / 'report.md'}", highlight=False)
    if any(folder.rglob("events.out.tfevents.*")):
        console.out(f"look at it: tensorboard --logdir {folder}", highlight=False)
    return folder
