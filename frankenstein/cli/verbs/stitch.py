"""The words of `stitch.py` and `frankenstein stitch`; its fields are in `stitching/plan.py`."""

from frankenstein.cli.words import Words
from frankenstein.source import GRAMMAR

WORDS = Words(
    about="""
        Three stitches are scored: `before`, at its start; `after`, trained by task loss (the same
        as `before` with -e 0, or if its family has nothing to train); and `ps_inv`, the affine map
        of least squares. Both networks are frozen.

        With --all, or a list of layers, every layer of the sender is stitched to every layer of
        the receiver. All are solved in one pass; unless -e 0 says otherwise they are then trained,
        one layer of the sender at a time.
        """,
    examples="""
        python stitch.py model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors bn3 bn3 -i ps_inv -e 10
        python stitch.py A.safetensors B.safetensors bn3 bn5 -d fashion -r 4
        python stitch.py my_nets.py:small@one.pt my_nets.py:small@two.pt \\
            relu1 relu2 -d fashion
        python stitch.py A.safetensors B.safetensors --all -e 0
        python stitch.py A.safetensors B.safetensors --sender-layers bn3 bn5 \\
            --seeds 5 -e 2
        python stitch.py --config configs/stitch/sparse.yaml
        """,
    positionals=("sender", "receiver", "sender_layer", "receiver_layer"),
    abouts={"sender": f"network that gives its front: {GRAMMAR}"},
    flags={"low_rank": "-r", "mask": "-m", "flatten": "-f", "init": "-i"},
    first=(
        "dataset",
        "data_root",
        "epochs",
        "lr",
        "init",
        "family",
        "low_rank",
        "all",
        "normalize",
        "seed",
    ),
)
