"""`compare.py` and `frankenstein compare`."""

from pathlib import Path
from typing import Any

from frankenstein.catalog import DATASETS
from frankenstein.cli.errors import UsageError
from frankenstein.cli.words import Words
from frankenstein.errors import did_you_mean
from frankenstein.similarity.plan import WORDS as MEASURES
from frankenstein.similarity.plan import is_pattern
from frankenstein.source import GRAMMAR

_PLACES = ("receiver", "sender_layer", "receiver_layer")
_FILES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".npz", ".h5")


def _sort(values: dict[str, Any]) -> dict[str, Any]:
    """The values with every word where it belongs: networks, then layers, then measures.

    Raises:
        UsageError: for a word that is no measure where only measures can be.
    """
    words = [values[place] for place in _PLACES if values[place] is not None]
    words += values["measures"]
    sender = values["sender"]
    count = next((i for i, word in enumerate(words) if word in MEASURES), len(words))
    others = next((i for i, word in enumerate(words[:count]) if not _is_network(word)), count)
    more = [*words[1:others], *values["more"]]
    if more or is_pattern(sender):
        places = dict.fromkeys(_PLACES) | {"receiver": words[0] if others else None}
        places |= {"sender_layer": ",".join(words[others:count]) or None, "more": more}
        return values | places | {"measures": _measures(words[count:])}
    count = min(count, len(_PLACES))
    places = dict.fromkeys(_PLACES) | dict(zip(_PLACES, words[:count], strict=False))
    measures, receiver = _measures(words[count:]), places["receiver"]
    of_run = Path(sender).is_dir() and not (Path(sender) / "network.safetensors").is_file()
    if receiver is not None and of_run and not Path(receiver).exists():
        raise UsageError(
            f"behind the run {sender} there are measures only, got {receiver!r}"
            + did_you_mean(receiver, MEASURES)
        )
    return values | places | {"measures": measures}


def _measures(words: list[str]) -> list[str]:
    for word in words:
        if word not in MEASURES:
            near = did_you_mean(word, MEASURES) or "; layers go before measures"
            near = f"; say -d {word}" if word in DATASETS else near
            raise UsageError(f"{word!r} is no measure{near}")
    return words


def _is_network(word: str) -> bool:
    """Whether a word can be a network and no layer: no layer's name has such parts."""
    return bool(set(word) & set("/#@:")) or Path(word).suffix in _FILES


WORDS = Words(
    about="""
        One pass over the data serves all pairs of layers and all measures; unbiased linear CKA if
        none is named. Layers are a name, names with commas between, a glob ("bn*"), "cut points"
        for all that `frankenstein layers` lists, "modules" for all modules, or "blocks" for one a
        block, which is what a network with blocks has if nothing is named. Measures of two single
        layers come as one table, of more as a matrix each.

        Of more than two networks, or a pattern of their names, each runs once, and every two are
        compared at the layers that match: by angular_shape_distance, which is a true distance, if
        no measure is named. Groups are those of their cards: architecture, data, width, epoch,
        seed.

        In place of a network, a file of activations (.npy, .npz, .safetensors, .pt, .h5) is taken
        as it is: layers by name, (N, ...) each, with a row for each example. Beside a network these
        are the held-out images in the data set's own order; `frankenstein extract` writes such a
        file.

        In place of SENDER, the folder of a run of stitch.py compares its stitched representation
        with the receiver's own.

        A value alone says little: --permutations shows what unrelated representations would give,
        and --bootstrap how far the value would be off with other images. Both come from examples
        that the one pass keeps, not from more passes.

        Dr. Frankenstein's words for measures are understood: cka is linear_cka, cca mean_cca, corr
        unit_correlation (and draws all correlations), ps_inv the r_squared of the pseudo-inverse
        (`stitch.py -e 0` saves the map itself), l2 the mean squared difference per number
        (mean_squared_distance over the number of units).
        """,
    examples="""
        python compare.py model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors
        python compare.py A.safetensors B.safetensors unbiased_cka \\
            procrustes_similarity mutual_knn
        python compare.py A.safetensors B.safetensors 'bn*' relu1,relu3,fc \\
            --bootstrap 1000 --permutations 200
        python compare.py A.safetensors B.safetensors bn3 bn5 -d fashion
        python compare.py A.safetensors B.safetensors bn3 bn5 -d fashion cka \\
            l2 ps_inv corr
        python compare.py my_nets.py:small@one.pt my_nets.py:small@two.pt -d fashion
        python compare.py timm/resnet18 'timm/resnet18#0' -d folder \\
            --data-root photographs
        python compare.py v1.npz model.npy unbiased_cka --permutations 200
        python compare.py 'results/train/lenet-*' unbiased_cka angular_shape_distance
        python compare.py A.safetensors B.safetensors C.safetensors 'bn*' \\
            --bootstrap 200
        python compare.py results/stitch/RUN --stitch after cka l2
        python compare.py results/stitch/RUN --stitch ps_inv --layer bn7 cka
        """,
    positionals=("sender", *_PLACES, "measures"),
    abouts={
        "sender": f"first network ({GRAMMAR}), file of activations, or folder of a run of "
        "stitch.py",
        "measures": "measures of the layers, the first of which may stand in place of a layer",
    },
    sort=_sort,
    first=(
        "dataset",
        "data_root",
        "normalize",
        "size",
        "model",
        "flattening",
        "bootstrap",
        "permutations",
        "batch_size",
        "run_name",
    ),
)
