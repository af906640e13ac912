"""The words of `frankenstein report`; its fields are in `studies/plan.py`."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        Runs that differ in nothing but seeds, their own and those that their networks were trained
        from, are one row: a mean with its 95 % interval. Over layers, or over a number such as a
        rank, scores are drawn as curves. Everything is read from the runs' run.json and
        summary.json; runs that are not finished are left out.
        """,
    examples="""
        frankenstein report results/stitch/*
        frankenstein report results/stitch/bn3-* results/stitch/bn5-* \\
            --scores 'accuracy/*'
        frankenstein report results/train/* --run-name seeds
        """,
    positionals=("runs",),
    abouts={"quiet": "print the folder only"},
)
