"""`frankenstein graft`: one file for front, stitch and end."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        The file holds all that the grafted network is made of: nobody opens the two networks again.
        `evaluate` takes it, and `frankenstein.stitching.open_graft` in Python. Nothing in it is
        pickled, and nothing that is loaded executes code.
        """,
    examples="""
        frankenstein graft results/stitch/RUN -o frank.safetensors
        frankenstein graft results/stitch/RUN --stitch ps_inv -o frank.pt2
        frankenstein graft results/stitch/RUN-all --cut bn3 bn5 -o frank.safetensors
        frankenstein evaluate frank.safetensors -d fashion
        """,
    positionals=("subject",),
    abouts={
        "output": "-o FILE: .safetensors, of networks of the zoo and torchvision, or .pt2, an "
        "exported program of torch"
    },
    flags={"output": "-o"},
)
