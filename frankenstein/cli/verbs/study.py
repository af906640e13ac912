"""The words of `frankenstein study`; its fields are in `studies/plan.py`."""

from typing import Any

from frankenstein.cli.commands import check_step
from frankenstein.cli.words import Words
from frankenstein.studies.plan import StudyPlan, nodes_of


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """The values, once every step that is a command line is one, and the graph is whole."""
    for step in values["steps"]:
        if isinstance(step, str):
            check_step(step)
    if values["networks"] is not None:
        nodes_of(StudyPlan(**values), "{study}")
    return values


WORDS = Words(
    about="""
        A study is a graph, in YAML: networks, which are trained here or named, and what is done to
        each pair of them (compare, stitch, analyze). A field with several values is a grid. Only
        runs that are missing are run; one that fails does not stop the others, and is told at the
        end. The exit code is 0, 1 if a run failed, 2 if the study cannot begin.

        Or it is a list of steps, one after the other. A step is what stands behind `frankenstein`
        on a command line; in YAML it may also be {verb: {field: value}}. {study} in it is the
        folder of the study, where each step writes OUT_DIR/study/RUN_NAME/<verb>/<run>. All is
        checked before the first run.
        """,
    examples="""
        frankenstein study --config configs/studies/seeds.yaml
        frankenstein study --config configs/studies/seeds.yaml --dry-run
        frankenstein study --config configs/studies/tiny10_fashion.yaml
        frankenstein study 'train -m lenet -e 20 --run-name one' \\
            'evaluate {study}/train/one/network.safetensors'
        """,
    positionals=("steps",),
    abouts={
        "accelerator": "cpu, gpu, or auto, for all runs",
        "quiet": "no progress bars, no tables; print the folder only",
    },
    first=(
        "config",
        "networks",
        "pairs",
        "compare",
        "stitch",
        "analyze",
        "workers",
        "dry_run",
        "run_name",
        "data_root",
    ),
    goes_on=True,
    sort=_checked,
)
