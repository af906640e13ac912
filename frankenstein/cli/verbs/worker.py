"""The words of `frankenstein worker`; its fields are in `studies/plan.py`."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        srun, ssh or a Kubernetes job starts it on each machine. It does one run at a time, in a
        process of its own, and ends with the scheduler. Its machine must see the working folder of
        the study under the same name. docs/cluster.md has examples.
        """,
    examples="""
        frankenstein worker --scheduler scheduler.json
        srun --ntasks 8 --gpus-per-task 1 frankenstein worker \\
            --scheduler scheduler.json --gpus 1
        """,
)
