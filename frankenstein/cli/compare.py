"""`compare.py` and `frankenstein compare`: the layers of two networks against each other."""

from pathlib import Path
from typing import Annotated, Literal

from frankenstein.cli.compare_words import MeasureWord, sorted_out
from frankenstein.cli.names import DatasetName, NetworkName


def compare(
    sender: str,
    receiver: str | None = None,
    sender_layer: str | None = None,
    receiver_layer: str | None = None,
    measures: list[MeasureWord] = [],  # noqa: B006
    *,
    stitch: Literal["before", "after", "ps_inv"] | None = None,
    layer: str | None = None,
    flattening: Literal["per_location", "per_sample", "pooled"] | None = None,
    dataset: Annotated[DatasetName | None, "-d"] = None,
    model: NetworkName | None = None,
    other_networks: bool = False,
    batch_size: Annotated[int, "-b"] = 250,
    out_dir: Annotated[str, "-o"] = "results",
    run_name: str | None = None,
    data_root: str | None = None,
    accelerator: Annotated[str, "trainer"] = "auto",
    quiet: bool = False,
) -> Path:
    """Compare two trained networks layer by layer, by unbiased linear CKA on held-out images.

    One pass over the data serves all pairs of layers. With a layer of each, only that pair; with
    measures behind them, by these. In place of SENDER, the folder of a run of stitch.py compares
    its stitched representation with the receiver's own.

    Dr. Frankenstein's words for measures are understood: cka is linear_cka, cca mean_cca, corr
    unit_correlation (and draws all correlations), ps_inv the r_squared of the pseudo-inverse
    (`stitch.py -e 0` saves the map itself), l2 the mean squared difference per number
    (mean_squared_distance over the number of units).

    Args:
        sender: file of the first network, or folder of a run of stitch.py
        receiver: file of the second network; none behind a run
        sender_layer: layer of the first network; all cut points if absent
        receiver_layer: layer of the second network; all cut points if absent
        measures: measures of the two layers
        stitch: which stitch of a run; after if absent
        layer: layer of the receiver behind a run's cut to compare at; the cut itself if absent
        flattening: what a row is; if absent a place where both lie on one grid, else the mean
            over places
        dataset: data set; the one that the receiver was trained on if absent
        model: network in a .pt file, which its shapes tell if absent
        other_networks: take a run's networks though they are not those it was made for
        batch_size: images that one Gram matrix spans; more images a block, less spread
        out_dir: folder of results
        run_name: folder of this run in OUT_DIR/compare; made from the networks' files if absent
        data_root: folder where data sets lie, or are downloaded to; if absent, the one in the
            environment variable FRANKENSTEIN_DATA, or else data
        accelerator: cpu, gpu, or auto
        quiet: no progress bar; print the folder only

    Examples:
        python compare.py model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors
        python compare.py A.safetensors B.safetensors bn3 bn5 -d fashion
        python compare.py A.safetensors B.safetensors bn3 bn5 -d fashion cka l2 ps_inv corr
        python compare.py results/stitch/RUN --stitch after cka l2
        python compare.py results/stitch/RUN --stitch ps_inv --layer bn7 cka
    """
    values = sorted_out(dict(locals()))

    from frankenstein.cli.compare_run import run_compare
    from frankenstein.cli.config import dump
    from frankenstein.cli.measure_run import run_measures
    from frankenstein.cli.outcome import tell
    from frankenstein.report import terminal_matrix

    if values["measures"] or values["stitch"]:
        return tell(*run_measures(values, dump(compare, values)))
    folder, matrix = run_compare(values, dump(compare, values))
    return tell(
        folder,
        quiet,
        f"{matrix.measure}, {matrix.flattening}, {matrix.examples} held-out images; "
        "rows: layers of the sender, columns: of the receiver",
        terminal_matrix(matrix.values, matrix.rows, matrix.columns),
    )
