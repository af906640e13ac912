"""The main job from nothing: two networks, six stitches, one matrix, one report."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from frankenstein.cli.verbs.compare import compare
from frankenstein.cli.verbs.stitch import stitch
from frankenstein.cli.verbs.train import train
from frankenstein.errors import UserError
from frankenstein.files import write_whole
from frankenstein.networks.cards import cards_of
from frankenstein.report import Picture, bars, markdown_table, rich_table
from frankenstein.runs.config import dump, read_config
from frankenstein.runs.folder import RunFolder, claim_folder
from frankenstein.runs.page import write_run_report
from frankenstein.runs.schema import REQUIRED, read_schema
from frankenstein.similarity.run import run_compare
from frankenstein.stitching.options import epochs_of
from frankenstein.stitching.run import run_stitch
from frankenstein.stitching.score_tables import interval_text
from frankenstein.training.run import run_train

KINDS = ("identity", "permutation", "pseudo_inverse", "low_rank", "sparse", "cka_regularized")
_CONFIGS = Path(__file__).parents[2] / "configs" / "stitch"
_EPOCHS = {"digits": 20, "fashion": 4}  # of a network: 95 % of held-out digits, 90 % of clothes
_STITCH_EPOCHS = {"digits": 10, "fashion": 1}  # of a stitch that is trained
_COLUMNS = ("relative_accuracy", "agreement", "unbiased_cka", "mean_cca")
_SHARES = ("accuracy", "relative", "agreement")

Scores = Mapping[str, Mapping[str, float]]  # of every kind


def run_demo(values: Mapping[str, Any], config: str) -> tuple[Path, Scores]:
    """Run `frankenstein demo` with these values; returns its folder and each kind's scores."""
    kinds = {kind: _options(kind) for kind in KINDS}
    dataset, epochs = values["dataset"], values["epochs"]
    folder = claim_folder(Path(values["out_dir"]) / "demo", f"{values['model']}-{dataset}")
    write_whole(folder / "config.yaml", config)
    common = {
        "dataset": dataset,
        "data_root": values["data_root"],
        "out_dir": str(folder),
        "quiet": values["quiet"],
    }
    networks = []
    for seed in (0, 1):
        options = _defaults(train) | common
        options |= {"model": values["model"], "init_noise": seed, "gradient_noise": seed}
        options["epochs"] = _EPOCHS[dataset] if epochs is None else epochs
        networks.append(run_train(options, dump(train, options))[0] / "network.safetensors")
    pair = {"sender": str(networks[0]), "receiver": str(networks[1])}
    cuts = {"sender_layer": values["layer"], "receiver_layer": values["layer"]}
    scores = {}
    for kind, special in kinds.items():
        options = _defaults(stitch) | special | common | pair | cuts
        if epochs_of(options):
            options["epochs"] = min(options["epochs"], _STITCH_EPOCHS[dataset])
        scores[kind] = run_stitch(options, dump(stitch, options))[1]
    options = _defaults(compare) | common | pair
    compared = run_compare(options, dump(compare, options))
    (matrix,) = compared.matrices.values()
    picture = Picture("matrix", matrix.plot(), _MATRIX)
    run = RunFolder(folder, True, "demo", dict(values), cards_of(pair))
    _report(run, scores, picture, compared.folder / f"{matrix.measure}.csv")
    return folder, scores


def demo_table(scores: Scores) -> Table:
    """The outcome for the terminal."""
    n = next(iter(scores.values()))["n/receiver"]
    title = f"six stitches, {n:,} held-out images"
    return rich_table(*_rows(scores), percent=_SHARES, title=title)


def _options(kind: str) -> dict[str, Any]:
    """What configs/stitch says of a kind."""
    path = _CONFIGS / f"{kind}.yaml"
    if not path.exists():
        raise UserError("the demo reads configs/stitch, which a clone of the repository has")
    return read_config(read_schema(stitch), str(path))


def _defaults(verb: Callable[..., Any]) -> dict[str, Any]:
    options = read_schema(verb).options.values()
    return {option.name: option.default for option in options if option.default is not REQUIRED}


def _rows(scores: Scores) -> tuple[list[list[Any]], list[str]]:
    """Sender and receiver by themselves, then every kind of stitch as it is in the end."""
    first = next(iter(scores.values()))
    rows: list[list[Any]] = [
        [whose, *_accuracy_of(first, whose), *[None] * len(_COLUMNS)]
        for whose in ("sender", "receiver")
    ]
    for kind, found in scores.items():
        others = (found[f"{column}/after"] for column in _COLUMNS)
        rows.append([kind, *_accuracy_of(found, "after"), *others])
    names = [column.removesuffix("_accuracy").replace("_", " ") for column in _COLUMNS]
    return rows, ["", "accuracy", "95\xa0% interval", *names]


def _accuracy_of(scores: Mapping[str, float], whose: str) -> tuple[float, str]:
    low, high = (scores[f"accuracy_{end}/{whose}"] for end in ("low", "high"))
    return scores[f"accuracy/{whose}"], interval_text(low, high)


def _report(run: RunFolder, scores: Scores, matrix: Picture, compared: Path) -> None:
    first, values = next(iter(scores.values())), run.options
    lines = {whose: first[f"accuracy/{whose}"] for whose in ("sender", "receiver")}
    heights = {
        kind.replace("_", "\n"): {when: found[f"accuracy/{when}"] for when in ("before", "after")}
        for kind, found in scores.items()
    }
    run.summary |= {f"accuracy/{whose}": value for whose, value in lines.items()}
    write_run_report(
        run,
        f"Two {values['model']} networks on {values['dataset']}",
        [
            "Two networks were trained from different seeds. The front of the first was stitched "
            f"to the end of the second at `{values['layer']}`, in six ways. Everything below is "
            f"measured on {first['n/receiver']:,} held-out images (intervals are Wilson's, in %); "
            "measures compare stitched with target, place by place.",
            markdown_table(*_rows(scores), percent=_SHARES),
            Picture("accuracy", bars(heights, lines=lines), _ACCURACY),
            matrix,
            f"Every value of the matrix is in `{compared.relative_to(run.path)}`. "
            "Each run under `train/`, `stitch/` and `compare/` has its own report, and its "
            "`config.yaml` replays it.",
        ],
    )


_ACCURACY = (
    "Accuracy of the grafted network with each kind of stitch, at its start and in the end; the "
    "lines are the two networks by themselves. Identity is the control: near chance, it says that "
    "the two networks do not share their units, so what the others reach is the stitch's doing."
)
_MATRIX = (
    "Unbiased linear CKA of every layer of the sender (rows) with every layer of the receiver "
    "(columns): 1 for the same representation up to rotation, shift and scale, about 0 for "
    "unrelated ones. A bright diagonal says that the networks do alike things at alike depths."
)
