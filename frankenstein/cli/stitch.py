"""`stitch.py` and `frankenstein stitch`: the front of one network to the end of another."""

from pathlib import Path
from typing import Annotated, Literal

from frankenstein.cli.names import DatasetName, MeasureName, StitchName


def stitch(
    sender: str,
    receiver: str,
    sender_layer: str,
    receiver_layer: str,
    *,
    dataset: Annotated[DatasetName | None, "-d"] = None,
    family: Annotated[StitchName | None, "stitch"] = None,
    low_rank: Annotated[int | None, "-r", "stitch"] = None,
    l1: Annotated[float | None, "stitch"] = None,
    init: Annotated[Literal["random", "perm", "eye", "ps_inv"], "-i", "stitch"] = "random",
    cka_reg: Annotated[float, "stitch"] = 0.0,
    epochs: Annotated[int, "-e"] = 30,
    batch_size: Annotated[int, "-b"] = 128,
    lr: Annotated[float, "-lr"] = 1e-3,
    weight_decay: Annotated[float, "-wd"] = 0.0,
    optimizer: Annotated[Literal["adam", "sgd"], "-opt"] = "adam",
    seed: int = 0,
    measures: list[MeasureName] = ["unbiased_cka", "linear_cka", "mean_cca"],  # noqa: B006
    save_frequency: Annotated[int, "-s"] = 10,
    out_dir: Annotated[str, "-o"] = "results",
    run_name: str | None = None,
    data_root: str = "data",
    quiet: bool = False,
    accelerator: Annotated[str, "trainer"] = "auto",
    devices: Annotated[str, "trainer"] = "auto",
    strategy: Annotated[str, "trainer"] = "auto",
    precision: Annotated[str, "trainer"] = "32-true",
) -> Path:
    """Stitch the front of one trained network to the end of another.

    The stitch is started, trained by task loss (unless its family has nothing to train, or with
    -e 0), and held against the pseudo-inverse. Both networks are frozen.

    Args:
        sender: file of the network that gives its front
        receiver: file of the network that gives its end
        sender_layer: layer of the sender after which it is cut
        receiver_layer: layer of the receiver after which it is cut
        dataset: data set; the one that the receiver was trained on if absent
        family: what the stitch may be; affine if absent
        low_rank: rank of a low_rank stitch, which it implies
        l1: penalty on mean |W| of a sparse stitch, which it implies
        init: where the stitch starts; ps_inv is its family's closed form
        cka_reg: weight of CKA(stitched, target) in the loss; below 0 it rewards likeness
        epochs: passes over the training data
        batch_size: images a step, over all devices together
        lr: learning rate, cut by 10 at one third and two thirds of the epochs
        weight_decay: weight decay
        optimizer: optimizer
        seed: seed of the stitch's random start and of the batch order
        measures: similarity of stitched to target
        save_frequency: steps between pictures of the stitch, times the number of epochs
        out_dir: folder of results
        run_name: folder of this run in OUT_DIR/stitch; made from the networks and layers if absent
        data_root: folder where data sets lie, or are downloaded to
        quiet: no progress bar; print the folder only
        accelerator: cpu, gpu, or auto
        devices: how many devices, or which
        strategy: how several devices share the work (ddp, ...)
        precision: of the arithmetic (32-true, 16-mixed, bf16-mixed, ...)

    Examples:
        python stitch.py model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors bn3 bn3 -i ps_inv -e 10
        python stitch.py A.safetensors B.safetensors bn3 bn5 -d fashion -r 4
        python stitch.py --config configs/stitch/sparse.yaml
    """
    values = dict(locals())

    from frankenstein.cli.config import dump
    from frankenstein.cli.outcome import tell
    from frankenstein.cli.stitch_report import score_table
    from frankenstein.cli.stitch_run import run_stitch

    folder, scores = run_stitch(values, dump(stitch, values))
    return tell(folder, quiet, score_table(scores, measures, title=folder.name))
