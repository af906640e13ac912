"""The words of `frankenstein demo`; its fields are in `studies/plan.py`."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="The steps are those of configs/studies/demo.yaml.",
    examples="""
        frankenstein demo
        frankenstein demo --dataset fashion --data-root data
        """,
    flags={"model": "-m"},
    goes_on=True,
)
