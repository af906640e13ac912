"""What a page says of the files of activations that were compared."""

from frankenstein.report import code, markdown_table
from frankenstein.runs.run import Run

_HEADER = ["", "activations", "layers", "examples", "made by", "of", "sha256"]
_ORDER = "Their rows are the held-out {called} of {dataset}, in the data set's own order."


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
            code(str(file["made_by"]["network"])) if file["made_by"] else None,
            file["made_by"].get("dataset"),
            f"`{file['sha256'][:12]}`",
        ]
        for role, file in files.items()
    ]
    dataset = run.record["dataset"]
    blocks = [markdown_table(rows, _HEADER)]
    return [*blocks, _ORDER.format(called=run.called, dataset=dataset)] if dataset else blocks
