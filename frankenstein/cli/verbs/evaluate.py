"""`frankenstein evaluate`: how well a saved network does, or the stitches of a finished run."""

from pathlib import Path
from typing import Annotated, Literal

from frankenstein.runs.types import DatasetName, MeasureName, NetworkName


def evaluate(
    subject: str,
    *,
    stitch: list[Literal["before", "after", "ps_inv"]] | None = None,
    dataset: Annotated[DatasetName | None, "-d"] = None,
    model: NetworkName | None = None,
    measures: list[MeasureName] | None = None,
    percentile: float = 95.0,
    floor: float = 0.01,
    other_networks: bool = False,
    batch_size: Annotated[int, "-b"] = 250,
    out_dir: Annotated[str, "-o"] = "results",
    run_name: str | None = None,
    data_root: str | None = None,
    accelerator: Annotated[str, "trainer"] = "auto",
    quiet: bool = False,
) -> Path:
    """Evaluate a saved network, or the stitches of a run, on held-out images.

    A network has its accuracy and its loss (cross entropy in nats; ten classes of chance cost
    2.303). Of every stitch there is also how it answers beside the receiver, how alike the
    representations are, the share of them that the receiver could not have made, and all of that
    for the controls.

    Args:
        subject: file of a network, or folder of a run of train.py or stitch.py
        stitch: which stitches of the run: before training, after it, or ps_inv, the affine map of
            least squares whatever the family; all three if absent
        dataset: data set; the one of the run, or that the network was trained on, if absent
        model: network in a .pt file, which its shapes tell if absent
        measures: similarity of stitched to target; those of the run if absent
        percentile: of the receiver's own scores, above which a representation is outside
        floor: of the variance in any direction, as a share of the mean one, where outside is told
            (docs/stitching.md): how far its shares hang on directions of little variance
        other_networks: take a run's networks though they are not those it was made for
        batch_size: images a step
        out_dir: folder of results
        run_name: folder of this run in OUT_DIR/evaluate; made from the subject if absent
        data_root: folder where data sets lie; as in the run if absent, then as for stitch.py
        accelerator: cpu, gpu, or auto
        quiet: no progress bar; print the folder only

    Examples:
        frankenstein evaluate model_weights/tiny10/digits/in0-gn0.safetensors
        frankenstein evaluate results/stitch/RUN --stitch after ps_inv
        frankenstein evaluate results/stitch/RUN --measures r_squared -d mnist
    """
    values = dict(locals())

    from frankenstein.cli.print_result import tell
    from frankenstein.runs.config import dump
    from frankenstein.stitching.evaluate_run import run_evaluate

    folder, shown = run_evaluate(values, dump(evaluate, values))
    return tell(folder, quiet, *shown)
