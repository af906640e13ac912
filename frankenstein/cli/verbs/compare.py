"""`compare.py` and `frankenstein compare`: the layers of two networks against each other."""

from pathlib import Path
from typing import Annotated, Literal

from frankenstein.cli.verbs.compare_words import (
    MeasureWord,
    is_table,
    layers_or_measures,
    sorted_out,
)
from frankenstein.runs.types import DatasetName, NetworkName


def compare(
    sender: str,
    receiver: str | None = None,
    sender_layer: str | None = None,
    receiver_layer: str | None = None,
    measures: list[MeasureWord | str] = [],  # noqa: B006
    *,
    stitch: Literal["before", "after", "ps_inv"] | None = None,
    layer: str | None = None,
    flattening: Literal["per_location", "per_sample", "pooled"] | None = None,
    bootstrap: Annotated[int, "how sure"] = 0,
    permutations: Annotated[int, "how sure"] = 0,
    keep: Annotated[int, "how sure"] = 500,
    seed: Annotated[int, "how sure"] = 0,
    block: int | None = None,
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
    """Compare two trained networks layer by layer, by any measures, on held-out images.

    One pass over the data serves all pairs of layers and all measures; unbiased linear CKA if none
    is named. Layers are a name, names with commas between, a glob ("bn*"), or "modules" for all
    modules. Measures of two single layers come as one table, of more as a matrix each. In place
    of SENDER, the folder of a run of stitch.py compares its stitched representation with the
    receiver's own.

    A value alone says little: --permutations shows what unrelated representations would give, and
    --bootstrap how far the value would be off with other images. Both come from examples that the
    one pass keeps, not from more passes.

    Dr. Frankenstein's words for measures are understood: cka is linear_cka, cca mean_cca, corr
    unit_correlation (and draws all correlations), ps_inv the r_squared of the pseudo-inverse
    (`stitch.py -e 0` saves the map itself), l2 the mean squared difference per number
    (mean_squared_distance over the number of units).

    Args:
        sender: file of the first network, or folder of a run of stitch.py
        receiver: file of the second network; none behind a run
        sender_layer: layers of the first network; all cut points if absent
        receiver_layer: layers of the second network; all cut points if absent
        measures: measures of the layers, the first of which may stand in place of a layer
        stitch: which stitch of a run; after if absent
        layer: layer of the receiver behind a run's cut to compare at; the cut itself if absent
        flattening: what a row is; if absent what suits each measure, and is said in the result
        bootstrap: draws of half of the kept examples for a 95 % interval of every value, such
            as 1000; 0 for none
        permutations: shuffles of the kept examples for a null and p of every value, such as
            200; 0 for none
        keep: examples to keep, a uniform sample, for intervals, nulls and those measures that need
            the examples themselves
        seed: seed of draws and shuffles
        block: images that a Gram matrix of unbiased_cka spans; if absent all at once where they are
            few (512, if small), else 64, which is an estimate
        dataset: data set; the one that the receiver was trained on if absent
        model: network in a .pt file, which its shapes tell if absent
        other_networks: take a run's networks though they are not those it was made for
        batch_size: images a batch
        out_dir: folder of results
        run_name: folder of this run in OUT_DIR/compare; made from networks and data set if
            absent
        data_root: folder where data sets lie, or are downloaded to; if absent, the one in the
            environment variable FRANKENSTEIN_DATA, or else data
        accelerator: cpu, gpu, or auto
        quiet: no progress bar; print the folder only

    Examples:
        python compare.py model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors
        python compare.py A.safetensors B.safetensors unbiased_cka procrustes_similarity mutual_knn
        python compare.py A.safetensors B.safetensors 'bn*' relu1,relu3,fc \\
            --bootstrap 1000 --permutations 200
        python compare.py A.safetensors B.safetensors bn3 bn5 -d fashion
        python compare.py A.safetensors B.safetensors bn3 bn5 -d fashion cka l2 ps_inv corr
        python compare.py results/stitch/RUN --stitch after cka l2
        python compare.py results/stitch/RUN --stitch ps_inv --layer bn7 cka
    """
    values = sorted_out(dict(locals()))

    from frankenstein.cli.print_result import tell
    from frankenstein.runs.config import dump
    from frankenstein.similarity.page import shown
    from frankenstein.similarity.run import run_compare
    from frankenstein.similarity.two_layers import run_measures

    with layers_or_measures(values):
        if is_table(values):
            return tell(*run_measures(values, dump(compare, values)))
        compared = run_compare(values, dump(compare, values))
    pictures = shown(compared.matrices, compared.sure)
    return tell(compared.folder, quiet, compared.accuracies, *pictures)
