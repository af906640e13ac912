"""`frankenstein demo`: the main job from nothing, in one command."""

from pathlib import Path
from typing import Annotated, Literal


def demo(
    *,
    dataset: Annotated[Literal["digits", "fashion"], "-d"] = "digits",
    model: Annotated[Literal["tiny10", "lenet"], "-m"] = "tiny10",
    layer: str = "bn3",
    epochs: Annotated[int | None, "-e"] = None,
    out_dir: Annotated[str, "-o"] = "results",
    data_root: str | None = None,
    quiet: bool = False,
) -> Path:
    """Train two networks, stitch them in six ways, compare all layers, and show the outcome.

    Args:
        dataset: data set; digits needs no download
        model: network of the zoo, trained from two seeds
        layer: layer after which both are cut
        epochs: epochs of each network; 20 for digits and 4 for fashion if absent
        out_dir: folder of results
        data_root: folder where data sets lie, or are downloaded to; if absent, the one in the
            environment variable FRANKENSTEIN_DATA, or else data
        quiet: no progress bars

    Examples:
        frankenstein demo
        frankenstein demo --dataset fashion --data-root data
    """
    values = dict(locals())

    from frankenstein.cli.print_result import tell
    from frankenstein.runs.config import dump
    from frankenstein.studies.demo import demo_table, run_demo

    folder, scores = run_demo(values, dump(demo, values))
    return tell(folder, quiet, demo_table(scores))
