"""What a stitching run left in its folder: its plan and the files of its stitches."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from frankenstein.catalog import VERBS
from frankenstein.errors import UserError
from frankenstein.networks.network import Network, data_word
from frankenstein.runs.fields import StitchKind
from frankenstein.runs.plan import read_plan
from frankenstein.stitches import stitch_facts


def read_stitch_run(
    folder: str | Path, kinds: Sequence[StitchKind], **changed: Any
) -> tuple[Any, dict[StitchKind, Path]]:
    """The run's StitchPlan, with some fields changed, and the files of these stitches.

    Raises:
        UserError: if the folder holds no such run.
    """
    path = Path(folder)
    config, files = path / "config.yaml", {kind: path / f"{kind}.safetensors" for kind in kinds}
    if (path / "matrix.csv").is_file():
        raise UserError(
            f"{folder} is a matrix of stitches, which saves none; run stitch.py for one pair of "
            "its layers, SENDER_LAYER RECEIVER_LAYER"
        )
    for file in (config, *files.values()):
        if not file.is_file():
            raise UserError(f"{folder} is no run of stitch.py: there is no {file}")
    return read_plan(VERBS["stitch"].target, config, **changed), files


def check_made_for(files: Iterable[Path], networks: Iterable[Network]) -> None:
    """Refuse stitches that were made for other networks.

    Raises:
        UserError: if one was.
    """
    networks = list(networks)
    for file in files:
        facts = stitch_facts(file)
        for network in networks:
            made_for = facts.get(network.role)
            if made_for != network.sha256:
                raise UserError(
                    f"{file} was made for a {network.role} of sha256 {str(made_for)[:12]}..., and "
                    f"{network.source} has {network.sha256[:12]}...: put the network back, stitch "
                    "again, or say ‹other_networks›"
                )


def run_label(folder: str, dataset: str | None) -> str:
    """What is done with a run's stitches: the run, and the data set if it is given anew."""
    return "-".join([Path(folder).resolve().name, *([data_word(dataset)] if dataset else [])])
