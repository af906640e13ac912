"""`frankenstein extract`: layers of a network as a file of activations."""

from frankenstein.cli.words import Words
from frankenstein.source import GRAMMAR

WORDS = Words(
    about="""
        Rows are the held-out examples of the data set, in its own order, and layers have their own
        names. `compare` takes such a file, or anybody's, in place of a network.
        """,
    examples="""
        frankenstein extract model_weights/tiny10/digits/in0-gn0.safetensors \\
            -o in0.safetensors
        frankenstein extract A.safetensors -d fashion --layers bn3 'relu*' \\
            -o layers.npz
        frankenstein extract 'timm/resnet18#0' -d folder \\
            --data-root photographs -o layers.npz
        frankenstein compare in0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors
        """,
    positionals=("network",),
    abouts={
        "network": f"network whose layers are written: {GRAMMAR}",
        "dataset": "data set; the one that the network was trained on if absent",
        "output": "-o FILE: .safetensors, which says how it was made, .npz, or .npy for one layer",
    },
    flags={"output": "-o", "model": "-m"},
    first=(
        "dataset",
        "data_root",
        "layers",
        "output",
        "flattening",
        "model",
        "size",
        "normalize",
        "text",
        "batch_size",
    ),
)
