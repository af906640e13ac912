"""`frankenstein study`: several verbs as one, from one YAML file."""

from pathlib import Path
from typing import Annotated


def study(
    steps: list[str],
    *,
    run_name: str = "study",
    out_dir: Annotated[str, "-o"] = "results",
    data_root: str | None = None,
    accelerator: Annotated[str, "trainer"] = "auto",
    quiet: bool = False,
) -> Path:
    """Run several verbs one after the other into one folder, with one page that leads to all.

    A step is what stands behind `frankenstein` on a command line. {study} in it is the folder of
    the study, where each step writes OUT_DIR/study/RUN_NAME/<verb>/<run>. All steps are checked
    before the first one runs.

    Args:
        steps: command lines, such as 'train -m lenet -d digits --run-name one'
        run_name: folder of this study in OUT_DIR/study
        out_dir: folder of results
        data_root: folder of the data sets of all steps; if absent, as each step has it
        accelerator: cpu, gpu, or auto, for all steps
        quiet: no progress bars, no tables; print the folder only

    Examples:
        frankenstein study --config configs/studies/tiny10_fashion.yaml
        frankenstein study 'train -m lenet -e 20 --run-name one' \\
            'evaluate {study}/train/one/network.safetensors'
    """
    values = dict(locals())

    from frankenstein.cli.verbs.study_steps import read_step

    read = [read_step(line) for line in steps]

    from frankenstein.cli.print_result import tell
    from frankenstein.runs.config import dump
    from frankenstein.studies.run import run_study

    return tell(run_study(values, read, dump(study, values)), quiet)
