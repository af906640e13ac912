"""`compare.py` and `frankenstein compare`: the layers of two networks against each other."""

from pathlib import Path
from typing import Annotated

from frankenstein.cli.names import DatasetName


def compare(
    sender: str,
    receiver: str,
    sender_layer: str | None = None,
    receiver_layer: str | None = None,
    *,
    dataset: Annotated[DatasetName | None, "-d"] = None,
    batch_size: Annotated[int, "-b"] = 250,
    out_dir: Annotated[str, "-o"] = "results",
    run_name: str | None = None,
    data_root: str = "data",
    accelerator: Annotated[str, "trainer"] = "auto",
    quiet: bool = False,
) -> Path:
    """Compare two trained networks layer by layer, by unbiased linear CKA on held-out images.

    One pass over the data serves all pairs of layers. With a layer of each, only that pair.

    Args:
        sender: file of the first network
        receiver: file of the second network
        sender_layer: layer of the first network; all cut points if absent
        receiver_layer: layer of the second network; all cut points if absent
        dataset: data set; the one that the receiver was trained on if absent
        batch_size: images that one Gram matrix spans; more images a block, less spread
        out_dir: folder of results
        run_name: folder of this run in OUT_DIR/compare; made from the networks' files if absent
        data_root: folder where data sets lie, or are downloaded to
        accelerator: cpu, gpu, or auto
        quiet: no progress bar; print the folder only

    Examples:
        python compare.py model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors
        python compare.py A.safetensors B.safetensors bn3 bn5 -d fashion
    """
    values = dict(locals())

    from frankenstein.cli.compare_run import run_compare
    from frankenstein.cli.config import dump
    from frankenstein.cli.outcome import tell
    from frankenstein.report import terminal_matrix

    folder, matrix = run_compare(values, dump(compare, values))
    return tell(
        folder,
        quiet,
        f"{matrix.measure}, {matrix.flattening}, {matrix.examples} held-out images; "
        "rows: layers of the sender, columns: of the receiver",
        terminal_matrix(matrix.values, matrix.rows, matrix.columns),
    )
