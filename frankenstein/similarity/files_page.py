"""What a page says of the files of activations that were compared."""

from typing import Any

from frankenstein.report import code, markdown_table
from frankenstein.runs.run import Run

_HEADER = ["", "activations", "layers", "examples", "made by", "sha256"]
_ORDER = "Their rows are the held-out images of {dataset}, in the data set's own order."


def files_blocks(run: Run) -> list[str]:
    """A table of the files, and beside a network which examples their rows are."""
    files = run.record["activations"]
    if not files:
        return []
    rows = [
        [
            role,
            code(file["file"]),
            len(file["layers"]),
            file["examples"],
            _made_by(file["made_by"]),
            f"`{file['sha256'][:12]}`",
        ]
        for role, file in files.items()
    ]
    dataset = run.record["dataset"]
    blocks = [markdown_table(rows, _HEADER)]
    return [*blocks, _ORDER.format(dataset=dataset)] if dataset else blocks


def _made_by(facts: dict[str, Any]) -> str | None:
    """The network and the data, of what `extract` wrote; None if nobody has said it."""
    if not facts:
        return None
    return f"{code(str(facts.get('network')))} on {facts.get('dataset')}"
