"""`stitch.py` and `frankenstein stitch`."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        The stitch is started (`before`), trained by task loss unless its family has nothing to
        train, or with -e 0 (`after`), and held against the pseudo-inverse, the affine map of least
        squares (`ps_inv`). Both networks are frozen.

        With --all, or a list of layers, every layer of the sender is stitched to every layer of
        the receiver: solved together in one pass, then trained (not with -e 0), those that start
        at one layer together.
        """,
    examples="""
        python stitch.py model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors bn3 bn3 -i ps_inv -e 10
        python stitch.py A.safetensors B.safetensors bn3 bn5 -d fashion -r 4
        python stitch.py A.safetensors B.safetensors --all -e 0
        python stitch.py A.safetensors B.safetensors --sender-layers bn3 bn5 --seeds 5 -e 2
        python stitch.py --config configs/stitch/sparse.yaml
        """,
    positionals=("sender", "receiver", "sender_layer", "receiver_layer"),
    flags={"low_rank": "-r", "mask": "-m", "flatten": "-f", "init": "-i"},
)
