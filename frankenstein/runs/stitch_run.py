"""What a stitching run left in its folder: its plan and the files of its stitches."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from frankenstein.catalog import VERBS
from frankenstein.errors import UserError, did_you_mean
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
            f"{folder} is a matrix of stitches; make one of them a file: frankenstein graft "
            f"{folder} ‹cut› SENDER_LAYER RECEIVER_LAYER"
        )
    for file in (config, *files.values()):
        if not file.is_file():
            raise UserError(f"{folder} is no run of stitch.py: there is no {file}")
    return read_plan(VERBS["stitch"].target, config, **changed), files


def cell_file(folder: Path, kind: str, sender_layer: str, receiver_layer: str) -> Path:
    """Where a matrix keeps a stitch of a kind, "solved" or "trained"."""
    return folder / "stitches" / kind / sender_layer / f"{receiver_layer}.safetensors"


def read_cell(
    folder: str | Path, layers: Sequence[str], stitch: StitchKind, allow_code: bool = False
) -> tuple[Any, Path]:
    """A StitchPlan of that pair of layers alone, and the file of its stitch in a matrix.

    `after` is what the run ended with, and `ps_inv` what it solved. Of several seeds it is the
    first.

    Raises:
        UserError: if the folder holds no matrix of stitches, or not that stitch.
    """
    path, pair = Path(folder), " ".join(layers)
    if not (path / "matrix.csv").is_file():
        raise UserError(f"{folder} is no matrix of stitches; leave ‹cut› {pair} out")
    plan = read_plan(VERBS["stitch"].target, path / "config.yaml", allow_code=allow_code)
    if stitch == "before":
        raise UserError("a matrix keeps no stitch of before training; take ‹stitch› after")
    if stitch == "ps_inv" and plan.family_name != "affine":
        raise UserError(
            f"{folder} solved stitches of the family {plan.family_name}, none by ps_inv; take "
            "‹stitch› after"
        )
    kind = "trained" if plan.trained_epochs and stitch == "after" else "solved"
    kept = sorted(path.glob(f"stitches/{kind}/*/*.safetensors"))
    if not kept:
        raise UserError(f"{folder} keeps no stitches; its report says why, or stitch again")
    file = cell_file(path, kind, *layers)
    if file not in kept:
        known = [f"{one.parent.name} {one.stem}" for one in kept]
        raise UserError(
            f"{folder} has no stitch from {layers[0]!r} to {layers[1]!r}"
            f"{did_you_mean(pair, known) or f'; such as {known[0]}'}"
        )
    lists = dict.fromkeys(("sender_layers", "receiver_layers"))
    one_pair = dict(zip(("sender_layer", "receiver_layer"), layers, strict=True))
    return replace(plan, all=False, seeds=1, **lists, **one_pair), file


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
