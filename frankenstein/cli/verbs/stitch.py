"""`stitch.py` and `frankenstein stitch`: the front of one network to the end of another."""

from pathlib import Path
from typing import Annotated, Any, Literal

from frankenstein.cli.errors import UsageError
from frankenstein.runs.types import DatasetName, MeasureName, NetworkName, StitchName


def stitch(
    sender: str,
    receiver: str,
    sender_layer: str | None = None,
    receiver_layer: str | None = None,
    *,
    all: Annotated[bool, "all layers"] = False,
    sender_layers: Annotated[list[str] | None, "all layers"] = None,
    receiver_layers: Annotated[list[str] | None, "all layers"] = None,
    seeds: Annotated[int, "all layers"] = 1,
    dataset: Annotated[DatasetName | None, "-d"] = None,
    model: NetworkName | None = None,
    family: Annotated[StitchName | None, "stitch"] = None,
    low_rank: Annotated[int | None, "-r", "stitch"] = None,
    l1: Annotated[float | None, "stitch"] = None,
    orthogonal: Annotated[bool, "stitch"] = False,
    mask: Annotated[
        Literal["identity", "semi-match", "abs-semi-match", "random-permutation", "match"],
        "-m",
        "stitch",
    ] = "identity",
    flatten: Annotated[bool, "-f", "stitch"] = False,
    init: Annotated[
        Literal["random", "perm", "eye", "ps_inv", "ones-zeros"], "-i", "stitch"
    ] = "random",
    solve_on: Annotated[int | None, "stitch"] = None,
    direct: Annotated[Literal["mse", "cka"] | None, "objective"] = None,
    target_type: Annotated[
        Literal["hard", "soft_1", "soft_2", "soft_12", "soft_1_plus_2"], "objective"
    ] = "hard",
    temperature: Annotated[float, "objective"] = 1.0,
    cka_reg: Annotated[float, "objective"] = 0.0,
    epochs: Annotated[int, "-e"] = 30,
    batch_size: Annotated[int, "-b"] = 128,
    lr: Annotated[float, "-lr"] = 1e-3,
    weight_decay: Annotated[float, "-wd"] = 0.0,
    optimizer: Annotated[Literal["sgd", "adam"], "-opt"] = "adam",
    augment: bool = True,
    seed: int = 0,
    measures: list[MeasureName] = ["unbiased_cka", "linear_cka", "mean_cca"],  # noqa: B006
    save_frequency: Annotated[int, "-s"] = 10,
    out_dir: Annotated[str, "-o"] = "results",
    run_name: str | None = None,
    data_root: str | None = None,
    resume: bool = False,
    debug: bool = False,
    quiet: bool = False,
    accelerator: Annotated[str, "trainer"] = "auto",
    devices: Annotated[str, "trainer"] = "auto",
    strategy: Annotated[str, "trainer"] = "auto",
    precision: Annotated[str, "trainer"] = "32-true",
) -> Path:
    """Stitch the front of one trained network to the end of another.

    The stitch is started (`before`), trained by task loss unless its family has nothing to train,
    or with -e 0 (`after`), and held against the pseudo-inverse, the affine map of least squares
    (`ps_inv`). Both networks are frozen.

    With --all, or a list of layers, every layer of the sender is stitched to every layer of the
    receiver: solved together in one pass, then trained (not with -e 0), those that start at one
    layer together.

    Args:
        sender: file of the network that gives its front
        receiver: file of the network that gives its end
        sender_layer: layer of the sender after which it is cut
        receiver_layer: layer of the receiver after which it is cut
        all: every key layer to every key layer: of each convolution or linear layer, or block of
            them, the first cut point behind its normalisation (8 of Tiny-10's 26 cut points, all
            of which compare.py takes); other layers by the two options below
        sender_layers: these layers of the sender only, any of its cut points (`frankenstein
            layers`); makes a matrix, as --all does
        receiver_layers: these layers of the receiver only; makes a matrix, as --all does
        seeds: how often what is random is repeated, from SEED on; gives confidence intervals
        dataset: data set; the one that the receiver was trained on if absent
        model: network in a .pt file, which its shapes tell if absent
        family: what the stitch may be; affine if absent
        low_rank: rank of a low_rank stitch, which it implies
        l1: penalty on mean |W| of a sparse stitch, which it implies
        orthogonal: a stitch that rotates
        mask: one source unit for each target unit, by this rule; identity masks nothing
        flatten: from place to place instead of from unit to unit
        init: where the stitch starts; ps_inv, the closed form of its own family (not always the
            affine map that every run saves and scores as ps_inv), is the one to take: from the
            others training may not arrive, at low rank above all, and the run then warns
        solve_on: training images to solve on; all if absent
        direct: fit the target representation by gradient, instead of the task
        target_type: labels, or the answers of sender (1), receiver (2) or both
        temperature: of a teacher's answers and the grafted network's
        cka_reg: weight of CKA(stitched, target) in the loss; below 0 it rewards likeness
        epochs: passes over the training data
        batch_size: images a step, over all devices together
        lr: learning rate, cut by 10 at one third and two thirds of the epochs
        weight_decay: weight decay
        optimizer: optimizer
        augment: train on images as they are, not changed at random; so the sender's representations
            are computed once and kept, if they fit in half of the free memory
        seed: seed of the stitch's random start and of the batch order
        measures: similarity of stitched to target; in a matrix of source to target, those that
            follow from means and covariances (unbiased_cka does not; compare.py has it)
        save_frequency: steps between pictures of the stitch, times the number of epochs
        out_dir: folder of results
        run_name: folder of this run in OUT_DIR/stitch; made from networks, data set, layers and
            stitch if absent
        data_root: folder where data sets lie, or are downloaded to; if absent, the one in the
            environment variable FRANKENSTEIN_DATA, or else data
        resume: go on with the unfinished run of the same name; if it is finished, only say where
        debug: one epoch of three batches, to see whether it runs
        quiet: no progress bar; print the folder only
        accelerator: cpu, gpu, or auto
        devices: how many devices, or which
        strategy: how several devices share the work (ddp, ...)
        precision: of the arithmetic (32-true, 16-mixed, bf16-mixed, ...)

    Examples:
        python stitch.py model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors bn3 bn3 -i ps_inv -e 10
        python stitch.py A.safetensors B.safetensors bn3 bn5 -d fashion -r 4
        python stitch.py A.safetensors B.safetensors --all -e 0
        python stitch.py A.safetensors B.safetensors --sender-layers bn3 bn5 --seeds 5 -e 2
        python stitch.py --config configs/stitch/sparse.yaml
    """
    values = dict(locals())
    if _is_matrix(values):
        return _matrix(values)

    from frankenstein.cli.print_result import tell
    from frankenstein.runs.config import dump
    from frankenstein.stitching.run import run_stitch
    from frankenstein.stitching.score_tables import shown

    folder, scores = run_stitch(values, dump(stitch, {**values, "resume": False}))
    return tell(folder, quiet, *shown(scores, measures, folder.name, values))


def _is_matrix(values: dict[str, Any]) -> bool:
    """Whether layers are to be crossed.

    Raises:
        UsageError: if layers are missing, or named in two ways.
    """
    lists = [name for name in ("all", "sender_layers", "receiver_layers") if values[name]]
    for side in ("sender", "receiver"):
        layer = values[f"{side}_layer"]
        if lists and layer is not None:
            raise UsageError(
                f"--{lists[0].replace('_', '-')} takes no {side.upper()}_LAYER, got {layer!r}; "
                f"use --{side}-layers {layer}"
            )
        if not lists and layer is None:
            raise UsageError(
                f"missing {side.upper()}_LAYER (layer of the {side} after which it is cut)"
            )
    if not lists and values["seeds"] != 1:
        raise UsageError(
            "--seeds belongs to a matrix of stitches: say --all, or for an interval of this one "
            f"pair --sender-layers {values['sender_layer']} --receiver-layers "
            f"{values['receiver_layer']} --seeds {values['seeds']}"
        )
    return bool(lists)


def _matrix(values: dict[str, Any]) -> Path:
    from frankenstein.cli.print_result import tell
    from frankenstein.report import terminal_matrix
    from frankenstein.runs.config import dump
    from frankenstein.stitching.matrix.page import beside_control, warned
    from frankenstein.stitching.matrix.run import run_matrix

    folder, results = run_matrix(values, dump(stitch, {**values, "resume": False}))
    shown: list[Any] = []
    for kind in [kind for kind in ("solved", "trained") if kind in results.found]:
        shown.append(
            f"accuracy, {kind}, of {results.images[kind]:,} held-out images; "
            "rows: layers of the sender, columns: of the receiver"
        )
        shown.append(
            terminal_matrix(results.table(kind, "accuracy"), results.rows, results.columns)
        )
    shown += beside_control(results)
    shown += [f"warning: {line}" for line in warned(values, results)]
    return tell(folder, values["quiet"], *shown)
