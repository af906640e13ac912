"""`frankenstein evaluate`."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        A network has its accuracy and its loss (cross entropy in nats; chance among K classes
        costs ln K). Of every stitch there is also how it answers beside the receiver, how alike the
        representations are, the share of them that the receiver could not have made, and all of
        that for the controls.
        """,
    examples="""
        frankenstein evaluate model_weights/tiny10/digits/in0-gn0.safetensors
        frankenstein evaluate results/stitch/RUN --stitch after ps_inv
        frankenstein evaluate results/stitch/RUN --measures r_squared -d mnist
        """,
    positionals=("subject",),
    abouts={
        "data_root": "folder where data sets lie; as in the run if absent, then as for stitch.py",
    },
    first=(
        "dataset",
        "data_root",
        "normalize",
        "size",
        "model",
        "stitch",
        "measures",
        "batch_size",
        "floor",
        "run_name",
    ),
)
