"""The words of `frankenstein scheduler`; its fields are in `studies/plan.py`."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        On one machine none is needed: `frankenstein study` has its own. The file that it writes
        holds its address and a fresh key: who can read the file can have code run by the workers,
        and nobody else is listened to. It is taken away at the end.
        """,
    examples="""
        frankenstein scheduler scheduler.json
        frankenstein study --config configs/studies/seeds.yaml \\
            --scheduler scheduler.json
        """,
    positionals=("file",),
)
