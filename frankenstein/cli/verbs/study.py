"""The words of `frankenstein study`; its fields are in `studies/plan.py`."""

from typing import Any

from frankenstein.cli.commands import check_step
from frankenstein.cli.words import Words


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """The values, once every step that is a command line is one."""
    for step in values["steps"]:
        if isinstance(step, str):
            check_step(step)
    return values


WORDS = Words(
    about="""
        A step is what stands behind `frankenstein` on a command line; in YAML it may also be
        {verb: {field: value}}. {study} in it is the folder of the study, where each step writes
        OUT_DIR/study/RUN_NAME/<verb>/<run>. All steps are checked before the first one runs.
        """,
    examples="""
        frankenstein study --config configs/studies/tiny10_fashion.yaml
        frankenstein study 'train -m lenet -e 20 --run-name one' \\
            'evaluate {study}/train/one/network.safetensors'
        """,
    positionals=("steps",),
    abouts={
        "accelerator": "cpu, gpu, or auto, for all steps",
        "quiet": "no progress bars, no tables; print the folder only",
    },
    goes_on=True,
    sort=_checked,
)
