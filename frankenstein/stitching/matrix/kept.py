"""The stitches that a matrix keeps: a file each, for those of its first seed."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from frankenstein.runs.stitch_run import cell_file
from frankenstein.stitches import Stitch, save_stitch
from frankenstein.stitching.matrix.solve import Pair
from frankenstein.stitching.plan import StitchPlan

_LARGEST = 250e6  # bytes of all stitches of a run


def bytes_of(plan: StitchPlan, stitches: Iterable[Stitch]) -> int:
    """What the stitches of a run hold: those that are solved, and as many that are trained."""
    one = sum(x.nbytes for stitch in stitches for x in stitch.state_dict().values())
    return one * (2 if plan.trained_epochs else 1)


def not_kept(size: int) -> list[str]:
    """A line on stitches that are too large to keep; nothing if they are kept."""
    if size <= _LARGEST:
        return []
    return [
        f"The stitches are not kept: they hold {size / 1e6:,.0f} MB, and up to "
        f"{_LARGEST / 1e6:,.0f} MB are. Name fewer layers to make grafts of them."
    ]


def keep_stitches(
    folder: Path,
    kind: str,
    stitches: Mapping[Pair, Stitch],
    joins: Mapping[str, str],  # sha256 of the sender and the receiver
) -> None:
    """Save stitches of a kind, each with the networks and layers that it joins."""
    for (s, t), stitch in stitches.items():
        path = cell_file(folder, kind, s, t)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_stitch(path, stitch, {**joins, "sender_layer": s, "receiver_layer": t})
